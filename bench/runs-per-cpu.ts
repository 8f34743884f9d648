/**
 * Stored runs a CPU second, of all processes of the server; tokens of streamed runs a CPU second; and requests handed
 * through, beside a plain Bun server that hands through. `node scripts/bun.mjs bench/runs-per-cpu.ts`
 */

import {
  atLeast,
  CHAT_TOKEN,
  createAssistant,
  isQuick,
  liftCallLimit,
  openResults,
  RUN_TOKEN,
  readStream,
  repeat,
  startRun,
  startServer,
  startUpstream,
} from './harness.ts';

liftCallLimit();

const RUNS = isQuick ? 1000 : 6000;
const CONCURRENCY = 64;
const RUNS_AIM = 1000;
const TOKENS_AIM = 12_000;

const results = openResults('runs-per-cpu');
const upstream = await startUpstream();
const server = await startServer({ upstreamUrl: upstream.url });
const short = await createAssistant(server, 'paced:5@0');
const long = await createAssistant(server, 'paced:500@0');

/** What the server spends on `work`, once everything of it has ended. */
async function measure(
  count: number,
  work: () => Promise<unknown>,
): Promise<{ cpu: number; seconds: number }> {
  const cpu = await server.readCpu();
  const begin = performance.now();
  await repeat(count, CONCURRENCY, work);
  const seconds = (performance.now() - begin) / 1000;
  await untilIdle();
  return { cpu: (await server.readCpu()) - cpu, seconds };
}

/** Runs that are not streamed end after their reply: CPU that stands still tells that they have. */
async function untilIdle(): Promise<void> {
  for (let before = -1, now = 0; before !== now; ) {
    before = await server.readCpu();
    await Bun.sleep(200);
    now = await server.readCpu();
  }
}

const runStreamed = async () => (await startRun(server, short, true)).text();
const runPlain = async () => (await startRun(server, short, false)).text();
await measure(1000, runStreamed);
for (const [name, work] of [
  ['streamed', runStreamed],
  ['plain', runPlain],
] as const) {
  const { cpu, seconds } = await measure(RUNS, work);
  results.report({
    id: `runs-${name}`,
    what: `stored runs a CPU second, ${name}`,
    value: RUNS / cpu,
    unit: '',
    aim: atLeast(RUNS_AIM),
    beside: [{ name: 'runs', value: RUNS / seconds, unit: 'a second of time' }],
  });
}

let tokens = 0;
const { cpu } = await measure(RUNS / 40, async () => {
  const stream = await readStream(() => startRun(server, long, true), RUN_TOKEN);
  tokens += stream.tokens;
});
results.report({
  id: 'tokens',
  what: 'tokens of streamed runs a CPU second, as fast as they come',
  value: tokens / cpu,
  unit: '',
  aim: atLeast(TOKENS_AIM),
});

const chat = { model: 'paced:5@0', messages: [{ role: 'user', content: 'Hello' }] };
const handed = await measure(RUNS, async () => (await server.post('/v1/chat/completions', chat)).text());
results.report({
  id: 'chats',
  what: 'plain chat completions handed through, a CPU second',
  value: RUNS / handed.cpu,
  unit: '',
});
let chatTokens = 0;
const relayed = await measure(RUNS / 40, async () => {
  const body = { ...chat, model: 'paced:500@0', stream: true };
  const stream = await readStream(() => server.post('/v1/chat/completions', body), CHAT_TOKEN);
  chatTokens += stream.tokens;
});
results.report({
  id: 'chat-tokens',
  what: 'tokens of streamed chat completions handed through, a CPU second, as fast as they come',
  value: chatTokens / relayed.cpu,
  unit: '',
});
await server.stop();
await upstream.stop();
