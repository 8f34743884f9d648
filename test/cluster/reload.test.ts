/** A configuration that changes while the server runs. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';

const OLD_KEY = 'sk-old-zq';
const NEW_KEY = 'sk-new-zq';

let upstream: ScriptedUpstream;
let folder: string;
let server: TestServer;
let said: string;
let other: string;

const keyFile = () => join(folder, 'key');
const configFile = () => join(folder, 'understudy.yaml');

const toAlias = (model: string) => `word: mine/${model}`;

async function writeConfig(aliases: string, extra = ''): Promise<void> {
  await writeFile(
    configFile(),
    `providers:\n  mine:\n    protocol: openai\n    base-url: ${upstream.url}\n    key-file: ${keyFile()}\naliases:\n  ${aliases}\n${extra}`,
  );
}

beforeEach(async () => {
  upstream = await startScriptedUpstream();
  said = upstream.script('said', [steps.say('yes'), steps.finish('stop')]);
  other = upstream.script('other', [steps.say('no'), steps.finish('stop')]);
  folder = await mkdtemp(join(tmpdir(), 'understudy-reload-'));
  await writeFile(keyFile(), OLD_KEY);
  await writeConfig(toAlias(said));
  server = await startServer({
    flags: ['--config', configFile(), ...(process.platform === 'linux' ? ['--workers', '2'] : [])],
  });
});
afterEach(async () => {
  await server.stop();
  await upstream.close();
  await rm(folder, { recursive: true, force: true });
});

async function ask(model: string): Promise<string> {
  const messages = [{ role: 'user', content: 'Say it.' }];
  // Each on a connection of its own, so that each worker is asked.
  const { json } = await server.call(
    'POST',
    '/v1/chat/completions',
    { model, messages },
    { connection: 'close' },
  );
  return json.choices?.[0]?.message.content ?? json.error.message;
}

const ROUNDS = 12;

async function askAll(model: string): Promise<string[]> {
  return [...new Set(await Promise.all(Array.from({ length: ROUNDS }, () => ask(model))))];
}

function toKeys(): unknown[] {
  return upstream.requests.map(({ headers }) => headers.authorization);
}

describe('a change of the configuration', () => {
  test('of a key in a file is taken by every worker, without a signal', async () => {
    expect(await askAll('word')).toEqual(['yes']);
    expect([...new Set(toKeys())]).toEqual([`Bearer ${OLD_KEY}`]);
    await writeFile(keyFile(), NEW_KEY);
    await waitUntil('it is read anew', () => server.output().includes('configuration read anew'));
    await waitUntil('every worker has the new key', async () => {
      const before = upstream.requests.length;
      expect(await askAll('word')).toEqual(['yes']);
      return toKeys()
        .slice(before)
        .every((key) => key === `Bearer ${NEW_KEY}`);
    });
    expect(server.output()).not.toContain(NEW_KEY);
  });

  test('of models is taken at SIGHUP, and fails no request that comes meanwhile', async () => {
    let isOver = false;
    const answers: string[] = [];
    const asking = Array.from({ length: 4 }, async () => {
      while (!isOver) answers.push(await ask('word'));
    });
    for (let round = 0; round < 6; round += 1) {
      await writeConfig(round % 2 === 0 ? toAlias(other) : toAlias(said));
      process.kill(server.pid, 'SIGHUP');
      const wanted = round % 2 === 0 ? 'no' : 'yes';
      const before = answers.length;
      await waitUntil('the new word is said', () => answers.slice(before).includes(wanted));
    }
    isOver = true;
    await Promise.all(asking);
    expect([...new Set(answers)].sort()).toEqual(['no', 'yes']);
  });

  test('that cannot be read leaves the one before, and says what is wrong', async () => {
    await writeConfig(toAlias(said), 'provider: {}\n');
    process.kill(server.pid, 'SIGHUP');
    await waitUntil('it is refused', () => server.output().includes('configuration not taken'));
    expect(server.output()).toContain("Did you mean 'providers'?");
    expect(await askAll('word')).toEqual(['yes']);
  });

  test('of what needs a restart is named', async () => {
    await writeConfig(toAlias(said), 'body-limit-mib: 5\n');
    process.kill(server.pid, 'SIGHUP');
    await waitUntil('it is told', () => server.output().includes('"settings":"body-limit-mib"'));
  });

  test('is what a worker that is started later has, too', async () => {
    await writeConfig(toAlias(other));
    process.kill(server.pid, 'SIGHUP');
    await waitUntil('it is read anew', () => server.output().includes('configuration read anew'));
    process.kill(server.workerPid, 'SIGKILL');
    await waitUntil('another listens', () => server.output().split('"event":"listening"').length > 3);
    await waitUntil('every worker says the new word', async () => (await askAll('word')).join() === 'no');
  });
});
