/** Runs whose server dies, is stopped for a while, or is on what is another host: what takes longer than a lease lasts. */

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LEASE_MS } from '../../src/runs/leases.ts';
import { ATTEMPTS_MAX } from '../../src/runs/takeover.ts';
import {
  createApi,
  type Json,
  type RunApi,
  toEnvironment,
  toFunction,
  toLastRun,
  useThread,
} from '../runs/run-fixture.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type ServerOptions, startServer, type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';

const KEY = 'sk-zq-of-the-request';
const HEADERS = { authorization: `Bearer ${KEY}` };
/** Beyond the lease: the last renewal, the sweeps, a busy machine. */
const TAKEN_MS = LEASE_MS + 20_000;
const TEST_MS = 150_000;
/** Process ids of its own: to this server, no process of another one is to be seen. */
const ELSEWHERE = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child', '--mount-proc'];
const hasNamespaces =
  process.platform === 'linux' && Bun.spawnSync([...ELSEWHERE, 'true'], { stderr: 'ignore' }).exitCode === 0;

let upstream: ScriptedUpstream;
let dataDirectory: string;
let servers: TestServer[];

beforeEach(async () => {
  upstream = await startScriptedUpstream();
  dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-takeover-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await upstream.close();
  await rm(dataDirectory, { recursive: true, force: true });
});

async function start(options: ServerOptions = {}): Promise<{ server: TestServer; api: RunApi }> {
  const env = { ...toEnvironment(upstream), UNDERSTUDY_SECRET: 'a-secret-of-all-servers' };
  const server = await startServer({ ...options, dataDirectory, env });
  servers.push(server);
  return { server, api: createApi(server) };
}

function toKeys(model: string): unknown[] {
  return upstream.requestsFor(model).map(({ headers }) => headers.authorization);
}

/** The run has this one answer in one step, and its thread is free. */
async function expectOnce(api: RunApi, run: Json, text: string): Promise<void> {
  const [, ...answers] = await api.listMessages(run.thread_id);
  expect(answers).toMatchObject([{ status: 'completed', content: [{ text: { value: text } }] }]);
  expect(await api.listSteps(run)).toMatchObject([{ type: 'message_creation', status: 'completed' }]);
  await useThread(api, run.thread_id);
}

// Elsewhere nobody may make namespaces, or there are none.
test.skipIf(!hasNamespaces)(
  'a server that cannot see the other’s processes leaves its runs alone while it lives, and takes them when it is dead',
  async () => {
    const first = await start();
    const second = await start({ within: ELSEWHERE });
    const slow = upstream.script('slow', [steps.say('Slow'), steps.wait(12_000), steps.say(' but sure')]);
    const run = await first.api.createRun(slow);
    await first.api.waitFor(run, 'completed', 30_000);
    expect(upstream.requestsFor(slow)).toHaveLength(1);
    await expectOnce(second.api, run, 'Slow but sure');

    let asked = 0;
    const model = upstream.scriptBy('died elsewhere', () => {
      asked += 1;
      return [asked === 1 ? [steps.say('Half'), steps.hang()] : [steps.say('Half and whole')]];
    });
    const reader = await first.api.openRun(model, {}, HEADERS);
    const begun = toLastRun(await reader.readTo('thread.message.delta'));
    void reader.rest().catch(() => undefined);
    await first.server.kill();
    await second.api.waitFor(begun, 'completed', TAKEN_MS);
    expect(toKeys(model)).toEqual([`Bearer ${KEY}`, `Bearer ${KEY}`]);
    await expectOnce(second.api, begun, 'Half and whole');
  },
  TEST_MS,
);

test(
  'a server that was stopped for longer than its lease writes nothing when it goes on',
  async () => {
    const first = await start();
    const second = await start();
    let asked = 0;
    const stale = [
      steps.say('Half'),
      steps.wait(2_000),
      steps.say(' stale'),
      steps.callTool('get_weather', {}),
    ];
    const model = upstream.scriptBy('stopped', () => {
      asked += 1;
      return [asked === 1 ? stale : [steps.say('Fresh')]];
    });
    const reader = await first.api.openRun(model, { tools: [toFunction('get_weather')] }, HEADERS);
    const begun = toLastRun(await reader.readTo('thread.message.delta'));
    process.kill(first.server.workerPid, 'SIGSTOP');
    try {
      await second.api.waitFor(begun, 'completed', TAKEN_MS);
    } finally {
      process.kill(first.server.workerPid, 'SIGCONT');
    }
    await reader.rest();
    expect(toKeys(model)).toEqual([`Bearer ${KEY}`, `Bearer ${KEY}`]);
    await expectOnce(first.api, begun, 'Fresh');
    expect((await first.api.getRun(begun)).status).toBe('completed');
  },
  TEST_MS,
);

test(
  `a run whose server dies again and again is taken over ${ATTEMPTS_MAX} times, and then fails and says so`,
  async () => {
    const model = upstream.script('again and again', [steps.say('Half'), steps.hang()]);
    let begun: Json = null;
    for (let deaths = 0; deaths <= ATTEMPTS_MAX; deaths += 1) {
      const { server, api } = await start();
      if (begun === null) {
        const reader = await api.openRun(model, {}, HEADERS);
        begun = toLastRun(await reader.readTo('thread.message.delta'));
        void reader.rest().catch(() => undefined);
      }
      await waitUntil('the model is asked', () => upstream.requestsFor(model).length === deaths + 1);
      await server.kill();
    }
    const { api } = await start();
    const run = await api.waitFor(begun, 'failed');
    expect(run.last_error).toMatchObject({ code: 'server_error' });
    expect(run.last_error.message).toContain(`${ATTEMPTS_MAX} times`);
    expect(toKeys(model)).toEqual(Array.from({ length: ATTEMPTS_MAX + 1 }, () => `Bearer ${KEY}`));
    expect(await api.listSteps(run)).toMatchObject([{ status: 'failed' }]);
    await useThread(api, run.thread_id);
  },
  TEST_MS,
);
