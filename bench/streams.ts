/**
 * Many streams at once of an upstream with 50 tokens a second: 128 for throughput, 400 for Bun's silent limit on upstream
 * calls (256 a process unless raised). The clients arrive within a second; what they meet when all arrive in the same
 * instant is shown for information. `bun bench/streams.ts`
 */

import {
  askDirectly,
  CHAT_TOKEN,
  createAssistant,
  isQuick,
  RUN_TOKEN,
  readStream,
  report,
  type StreamTimes,
  startRun,
  startServer,
  startUpstream,
  sum,
  toChatBody,
  toMedian,
} from './harness.ts';

const TOKENS = isQuick ? 100 : 300;
const MODEL = `paced:${TOKENS}@50`;
const FIRST_TOKEN_AIM_MS = 50;
const RATE_AIM = 0.95;

const upstream = await startUpstream();
const server = await startServer({ upstreamUrl: upstream.url });
const assistantId = await createAssistant(server, MODEL);

interface Load {
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly tokens: number;
}

async function load(count: number, start: () => Promise<StreamTimes>, arrivalMs: number): Promise<Load> {
  const cpu = await server.readCpu();
  const begin = performance.now();
  const streams = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      await Bun.sleep((index * arrivalMs) / count);
      return start();
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  const tokens = sum(streams.map((stream) => stream.tokens));
  return {
    tokens,
    seconds,
    tokensPerSecond: tokens / seconds,
    firstTokenMs: toMedian(streams.map((stream) => stream.firstTokenMs)),
    cpuSeconds: (await server.readCpu()) - cpu,
  };
}

const ways: Record<string, () => Promise<StreamTimes>> = {
  direct: () => readStream(() => askDirectly(upstream, MODEL), CHAT_TOKEN),
  runs: () => readStream(() => startRun(server, assistantId, true), RUN_TOKEN),
  gateway: () => readStream(() => server.post('/v1/chat/completions', toChatBody(MODEL)), CHAT_TOKEN),
};
const ARRIVAL_MS = 1000;
for (const way of Object.values(ways)) await load(16, way, ARRIVAL_MS);
for (const count of [128, 400]) {
  const results: Record<string, Load> = {};
  for (const [name, way] of Object.entries(ways)) {
    const result = await load(count, way, ARRIVAL_MS);
    results[name] = result;
    const cost =
      name === 'direct'
        ? ''
        : `, ${((result.cpuSeconds / result.tokens) * 1e6).toFixed(1)} µs CPU a token, ${((result.cpuSeconds / result.seconds) * 100).toFixed(0)} % of a core`;
    console.log(
      `${count} ${name}: ${result.tokensPerSecond.toFixed(0)} tokens/s, first token p50 ${result.firstTokenMs.toFixed(1)} ms${cost}`,
    );
  }
  const { direct, runs, gateway } = results;
  if (direct === undefined || runs === undefined || gateway === undefined)
    throw new Error('a load is missing');
  for (const [name, result] of [
    ['runs', runs],
    ['gateway', gateway],
  ] as const) {
    const added = result.firstTokenMs - direct.firstTokenMs;
    const rate = result.tokensPerSecond / direct.tokensPerSecond;
    report(
      `${count} ${name}, added first token p50`,
      `${added.toFixed(1)} ms`,
      `< ${FIRST_TOKEN_AIM_MS} ms`,
      added < FIRST_TOKEN_AIM_MS,
    );
    report(`${count} ${name}, tokens/s over direct`, rate.toFixed(3), `≥ ${RATE_AIM}`, rate >= RATE_AIM);
  }
}
for (const [name, way] of Object.entries(ways)) {
  const { firstTokenMs } = await load(128, way, 0);
  console.log(`128 ${name}, all in the same instant: first token p50 ${firstTokenMs.toFixed(1)} ms`);
}
await server.stop();
await upstream.stop();
