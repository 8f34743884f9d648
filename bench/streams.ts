/**
 * Many streams at once of an upstream with 50 tokens a second: 128 for throughput, 400 for Bun's silent limit on upstream
 * calls (256 a process unless raised). Their clients arrive within a second. A burst is 128 clients that arrive in the same
 * instant. `node scripts/bun.mjs bench/streams.ts`
 */

import {
  askDirectly,
  atLeast,
  below,
  CHAT_TOKEN,
  createAssistant,
  isQuick,
  liftCallLimit,
  openResults,
  RUN_TOKEN,
  readStream,
  type StreamTimes,
  startRun,
  startServer,
  startUpstream,
  sum,
  toChatBody,
  toMedian,
  toPercentiles,
} from './harness.ts';

liftCallLimit();

const TOKENS = isQuick ? 100 : 300;
const RATE = 50;
const MODEL = `paced:${TOKENS}@${RATE}`;
const COUNTS = [128, 400] as const;
const ARRIVAL_MS = 1000;
const BURST_COUNT = 128;
const BURST_MODEL = `paced:20@${RATE}`;
/** One burst says little: it stands or falls with what else the cores do in those milliseconds. */
const BURSTS = isQuick ? 5 : 15;
const WARM_UP_BURSTS = 3;
const FIRST_TOKEN_AIM_MS = 50;
const RATE_AIM = 0.95;

/** For a reader of figures. */
const WHAT = Object.freeze({ runs: 'run streams', gateway: 'chat streams' });

const results = openResults('streams');
const upstream = await startUpstream();
const server = await startServer({ upstreamUrl: upstream.url });

interface Load {
  readonly tokensPerSecond: number;
  /** Milliseconds from each request to its first token. */
  readonly firstTokensMs: readonly number[];
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly tokens: number;
}

type Way = () => Promise<StreamTimes>;

async function load(count: number, start: Way, arrivalMs: number): Promise<Load> {
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
    firstTokensMs: streams.map((stream) => stream.firstTokenMs),
    cpuSeconds: (await server.readCpu()) - cpu,
  };
}

async function createWays(model: string): Promise<Record<'direct' | 'runs' | 'gateway', Way>> {
  const assistantId = await createAssistant(server, model);
  return {
    direct: () => readStream(() => askDirectly(upstream, model), CHAT_TOKEN),
    runs: () => readStream(() => startRun(server, assistantId, true), RUN_TOKEN),
    gateway: () => readStream(() => server.post('/v1/chat/completions', toChatBody(model)), CHAT_TOKEN),
  };
}

function show(name: string, result: Load): void {
  const { p50, p95, p99, max } = toPercentiles(result.firstTokensMs);
  console.log(
    `${name}: first token p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(1)} ms; ` +
      `${result.tokensPerSecond.toFixed(0)} tokens/s`,
  );
}

function reportCost(id: string, name: string, { cpuSeconds, tokens, seconds }: Load): void {
  results.report({
    id: `${id}-cpu`,
    what: `${name}: CPU a token`,
    value: (cpuSeconds / tokens) * 1e6,
    unit: 'µs',
    beside: [{ name: 'of a core', value: (cpuSeconds / seconds) * 100, unit: '%' }],
  });
}

function reportAdded(id: string, name: string, result: Load, direct: Load): void {
  const own = toPercentiles(result.firstTokensMs);
  const base = toPercentiles(direct.firstTokensMs);
  const added = {
    p50: own.p50 - base.p50,
    p95: own.p95 - base.p95,
    p99: own.p99 - base.p99,
    max: own.max - base.max,
  };
  results.report({
    id: `${id}-added`,
    what: `${name}: added first token, p50`,
    value: added.p50,
    unit: 'ms',
    aim: below(FIRST_TOKEN_AIM_MS),
    distribution: added,
  });
}

async function compareStreams(
  count: number,
  ways: Record<'direct' | 'runs' | 'gateway', Way>,
): Promise<void> {
  const direct = await load(count, ways.direct, ARRIVAL_MS);
  show(`${count} direct`, direct);
  for (const name of ['runs', 'gateway'] as const) {
    const result = await load(count, ways[name], ARRIVAL_MS);
    show(`${count} ${name}`, result);
    const id = `${name}-${count}`;
    const what = `${count} ${WHAT[name]} of ${RATE} tokens a second in one worker, arriving within a second`;
    reportCost(id, what, result);
    reportAdded(id, what, result, direct);
    results.report({
      id: `${id}-rate`,
      what: `${what}: tokens a second over the upstream asked directly`,
      value: result.tokensPerSecond / direct.tokensPerSecond,
      unit: '',
      aim: atLeast(RATE_AIM),
    });
  }
}

/** Direct and runs in turns, so that what disturbs one disturbs the other; the median over the bursts counts. */
async function compareBursts(): Promise<void> {
  const ways = await createWays(BURST_MODEL);
  const p50s = { direct: [] as number[], runs: [] as number[], gateway: [] as number[] };
  const worst = { direct: [] as number[], runs: [] as number[], gateway: [] as number[] };
  for (let burst = -WARM_UP_BURSTS; burst < BURSTS; burst += 1) {
    for (const name of ['direct', 'runs', 'gateway'] as const) {
      const { p50, max } = toPercentiles((await load(BURST_COUNT, ways[name], 0)).firstTokensMs);
      if (burst < 0) continue;
      p50s[name].push(p50);
      worst[name].push(max);
    }
  }
  for (const name of ['direct', 'runs', 'gateway'] as const) {
    const ofAll = toPercentiles(p50s[name]);
    console.log(
      `${BURST_COUNT} ${name} in the same instant: first token p50 ${ofAll.p50.toFixed(1)} ms, the last one ` +
        `${toMedian(worst[name]).toFixed(1)} ms (medians of ${BURSTS} bursts; p50 up to ${ofAll.max.toFixed(1)} ms)`,
    );
  }
  results.report({
    id: 'burst-128-added',
    what: `${BURST_COUNT} run streams that arrive in the same instant: added first token, p50`,
    value: toMedian(p50s.runs) - toMedian(p50s.direct),
    unit: 'ms',
    aim: below(FIRST_TOKEN_AIM_MS),
    beside: [{ name: 'the upstream itself', value: toMedian(p50s.direct) }],
  });
}

const ways = await createWays(MODEL);
for (const way of Object.values(ways)) await load(16, way, ARRIVAL_MS);
for (const count of COUNTS) await compareStreams(count, ways);
await compareBursts();
await server.stop();
await upstream.stop();
