/**
 * Two servers on one Cassandra, of which one is killed every few seconds, and once the node itself: every run ends once, nothing that
 * was acknowledged is lost, nothing of the record is there twice, and no thread stays taken.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { toFunction } from '../runs/run-fixture.ts';
import { CASSANDRA_START_MS, type CassandraNode, startCassandra } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { countRows, findActiveThreads } from './cassandra-rows.ts';
import { startOnCassandra } from './cassandra-servers.ts';
import { createPersistentClient, type Played } from './persistent-client.ts';

const RUNS = 500;
const CLIENTS = 24;
const KILL_EVERY_MS = 5_000;
/** Runs begun when the node is killed. */
const NODE_KILL_AT = 200;
const NODE_DOWN_MS = 3_000;
/** Every run of every client, and then what their servers left. */
const PLAY_MS = 200_000;
const SETTLE_MS = 60_000;
const TEXT = 'one two three four five six seven eight nine ten eleven twelve';
const TOOL_TEXT = 'it is cold and it will stay so';
const KEYSPACE = 'kill';

const describeCassandra = cassandraOrSkip('two servers on one Cassandra', { needsOwnNode: true });

let node: CassandraNode;
let upstream: ScriptedUpstream;
let steady: TestServer;
let victim: TestServer;
let env: Record<string, string>;

describeCassandra('two servers on one Cassandra', () => {
  beforeAll(async () => {
    node = await startCassandra();
    upstream = await startScriptedUpstream({ requestsMax: 0 });
    env = { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'k' };
    steady = await start();
    victim = await start();
  }, CASSANDRA_START_MS);

  afterAll(async () => {
    await Promise.all([steady?.stop(), victim?.stop()]);
    await upstream?.close();
    await node?.stop();
  }, 60_000);

  test(
    `${RUNS} streamed runs all end once, although a server dies every ${KILL_EVERY_MS / 1000} s and the node once`,
    async () => {
      const text = upstream.script('kill-text', [steps.pace(15), steps.say(TEXT)]);
      const calls = upstream.script(
        'kill-calls',
        [
          steps.pace(15),
          steps.callTool('get_weather', { city: 'Oslo' }, { id: 'call_1', pieceCharacters: 8 }),
        ],
        [steps.pace(15), steps.say(TOOL_TEXT)],
      );
      const client = createPersistentClient(() => [steady, victim]);
      const tools = [toFunction('get_weather')];
      const [plain = '', calling = ''] = await Promise.all(
        [text, calls].map(async (model) => (await client.post('/v1/assistants', { model, tools })).id),
      );
      const played: Played[] = [];
      let begun = 0;
      let isPlaying = true;
      const deadline = performance.now() + PLAY_MS;
      const play = async (): Promise<void> => {
        while (begun < RUNS && performance.now() < deadline) {
          const index = begun;
          begun += 1;
          played.push(
            await client.play({
              assistantId: index % 2 === 0 ? plain : calling,
              kept: `kept ${index}`,
              extra: index % 4 < 2 ? null : `extra ${index}`,
            }),
          );
        }
      };
      const killing = killAgainAndAgain(() => isPlaying);
      const nodeKilling = killNode(() => begun >= NODE_KILL_AT || !isPlaying);
      const startedMs = performance.now();
      try {
        await Promise.all(Array.from({ length: CLIENTS }, play));
      } finally {
        isPlaying = false;
        await nodeKilling;
      }
      const kills = await killing;
      const playedMs = performance.now() - startedMs;
      expect(played).toHaveLength(RUNS);
      const settling = performance.now();
      await waitUntil(
        'no run is held any more',
        async () => (await countRows(node, KEYSPACE, 'leases')) === 0,
        SETTLE_MS,
      );
      await waitUntil(
        'no write is half done',
        async () => (await countRows(node, KEYSPACE, null)) === 0,
        SETTLE_MS,
      );
      const settledMs = performance.now() - settling;
      const faults = await client.check(played, { [plain]: TEXT, [calling]: TOOL_TEXT });
      console.error(
        JSON.stringify({
          kills,
          playedMs: Math.round(playedMs),
          settledMs: Math.round(settledMs),
          ...client.statistics,
        }),
      );
      expect(faults).toEqual([]);
      expect(client.statistics.brokenAnswers).toEqual({});
      expect(client.statistics.hangs).toBe(0);
      expect(await findActiveThreads(node, KEYSPACE)).toEqual([]);
    },
    PLAY_MS + 2 * SETTLE_MS + 120_000,
  );
});

async function start(): Promise<TestServer> {
  return await startOnCassandra({ contactPoint: node.contactPoint, keyspace: KEYSPACE }, { env });
}

/** Answers how often. The second server is there at the end. */
async function killAgainAndAgain(goesOn: () => boolean): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    const until = performance.now() + KILL_EVERY_MS;
    while (goesOn() && performance.now() < until) await Bun.sleep(50);
    if (!goesOn()) return kills;
    await victim.kill();
    victim = await startAgain();
  }
}

/** The node may be away: then the server cannot start, and somebody starts it again. */
async function startAgain(): Promise<TestServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start();
    } catch (error) {
      if (tries === 30) throw error;
      await Bun.sleep(500);
    }
  }
}

async function killNode(isTime: () => boolean): Promise<void> {
  while (!isTime()) await Bun.sleep(50);
  await node.kill();
  await Bun.sleep(NODE_DOWN_MS);
  await node.restart();
}
