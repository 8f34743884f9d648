/**
 * Chat completions handed through to an OpenAI-compatible upstream, beside a bare relay of Bun that does nothing else, and the
 * upstream asked directly. With `--peers`, beside Portkey's gateway and LiteLLM's proxy too, which are installed for it (minutes).
 * `node scripts/bun.mjs bench/gateway.ts`
 */

import { join } from 'node:path';
import {
  atLeast,
  atMost,
  below,
  CHAT_TOKEN,
  isQuick,
  liftCallLimit,
  openResults,
  readProcessCpu,
  readStream,
  repeat,
  type StreamTimes,
  startServer,
  startUpstream,
  sum,
  toChatBody,
  toMedian,
  toPercentiles,
} from './harness.ts';
import { type Peer, startLiteLlm, startPortkey } from './support/peers.ts';

liftCallLimit();

const REQUESTS = isQuick ? 3000 : 10_000;
/** Programs that are compiled as they run need some to be what they are after a minute. */
const WARM_UP_REQUESTS = isQuick ? 6000 : 20_000;
/** CPU is taken in turns, so that what disturbs one disturbs the other; the median counts. */
const TURNS = 3;
const CONCURRENCY = 64;
const ROUNDS = isQuick ? 300 : 1500;
const STREAM_ROUNDS = isQuick ? 100 : 400;
const WARM_UP_ROUNDS = isQuick ? 100 : 300;
const RATE = 50;
const STREAM_TOKENS = isQuick ? 100 : 300;
const ARRIVAL_MS = 1000;

const PLAIN_MODEL = 'paced:20@0';
/** A model that takes a moment, as models do. */
const FIRST_TOKEN_MODEL = 'paced:5@200';
const STREAM_MODEL = `paced:${STREAM_TOKENS}@${RATE}`;

const RELAY_RATIO_AIM = 0.6;
const PER_CPU_AIM = 12_000;
const ADDED_AIM_MS = 0.4;
const ADDED_FIRST_TOKEN_AIM_MS = 0.5;
const CORE_AIM = 0.3;
const CROWD = 400;
const CROWD_AIM_MS = 50;
const PORTKEY_AIM = 10;
const LITELLM_AIM = 50;

/** Something that chat completions can be asked of. */
interface Gateway {
  readonly name: string;
  /** Without a slash at its end. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** CPU seconds of all its processes; not a number where that is of no interest. */
  readCpu(): Promise<number>;
  stop(): Promise<void>;
}

const results = openResults('gateway');
const upstream = await startUpstream();
const origin = upstream.url.replace(/\/v1$/, '');
const direct: Gateway = {
  name: 'direct',
  url: origin,
  headers: { authorization: 'Bearer bench' },
  readCpu: async () => Number.NaN,
  stop: () => upstream.stop(),
};

async function startOwn(): Promise<Gateway> {
  const server = await startServer({ upstreamUrl: upstream.url });
  return { name: 'understudy', url: server.url, headers: {}, readCpu: server.readCpu, stop: server.stop };
}

async function startRelay(): Promise<Gateway> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'support/bare-relay.ts'), upstream.url], {
    stdout: 'pipe',
  });
  const { value } = await child.stdout.getReader().read();
  return toGateway('the bare relay', new TextDecoder().decode(value).trim(), {}, child);
}

function toGateway(
  name: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  child: Bun.Subprocess,
): Gateway {
  return {
    name,
    url,
    headers,
    readCpu: () => readProcessCpu(child.pid),
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

function ask({ url, headers }: Gateway, model: string, stream: boolean): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...toChatBody(model), stream }),
  });
}

async function askPlain(gateway: Gateway): Promise<void> {
  const response = await ask(gateway, PLAIN_MODEL, false);
  const text = await response.text();
  if (!response.ok || !text.includes('"choices"'))
    throw new Error(`${gateway.name}: ${response.status} ${text}`);
}

// ——— Requests a CPU second ———

/** Medians over the turns, by gateway. */
async function comparePerCpu(gateways: readonly Gateway[], requests: number): Promise<Map<Gateway, number>> {
  const found = new Map(gateways.map((gateway) => [gateway, [] as number[]]));
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const gateway of gateways) {
      const cpu = await gateway.readCpu();
      await repeat(requests, CONCURRENCY, () => askPlain(gateway));
      found.get(gateway)?.push(requests / ((await gateway.readCpu()) - cpu));
    }
  }
  return new Map([...found].map(([gateway, values]) => [gateway, toMedian(values)]));
}

async function reportPerCpu(own: Gateway, relay: Gateway): Promise<void> {
  for (const gateway of [own, relay]) await repeat(WARM_UP_REQUESTS, CONCURRENCY, () => askPlain(gateway));
  const found = await comparePerCpu([own, relay], REQUESTS);
  const perCpu = found.get(own) ?? Number.NaN;
  const least = found.get(relay) ?? Number.NaN;
  results.report({
    id: 'per-cpu-over-relay',
    what: 'chat completions handed through: requests a CPU second over those of a bare relay of Bun’s',
    value: perCpu / least,
    unit: '',
    aim: atLeast(RELAY_RATIO_AIM),
  });
  results.report({
    id: 'per-cpu',
    what: 'chat completions handed through: requests a CPU second',
    value: perCpu,
    unit: '',
    aim: atLeast(PER_CPU_AIM),
    beside: [{ name: relay.name, value: least }],
  });
}

// ——— Latency, one client ———

/** In turns, request by request; the medians. */
async function compareLatency(
  gateways: readonly Gateway[],
  rounds: number,
  measure: (gateway: Gateway) => Promise<number>,
): Promise<readonly number[]> {
  const times = gateways.map(() => [] as number[]);
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    for (const [at, gateway] of gateways.entries()) {
      const ms = await measure(gateway);
      if (round >= 0) times[at]?.push(ms);
    }
  }
  for (const [at, values] of times.entries()) {
    const { p50, p99 } = toPercentiles(values);
    console.log(`  ${gateways[at]?.name}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
  }
  return times.map(toMedian);
}

async function reportLatency(own: Gateway, relay: Gateway): Promise<void> {
  const [base = Number.NaN, added = Number.NaN, least = Number.NaN] = await compareLatency(
    [direct, own, relay],
    ROUNDS,
    async (gateway) => {
      const start = performance.now();
      await askPlain(gateway);
      return performance.now() - start;
    },
  );
  results.report({
    id: 'plain-added-p50',
    what: 'a plain completion over the upstream asked directly, one client: p50',
    value: added - base,
    unit: 'ms',
    aim: atMost(ADDED_AIM_MS),
    beside: [{ name: relay.name, value: least - base }],
  });
}

async function reportFirstToken(own: Gateway, relay: Gateway): Promise<void> {
  const [base = Number.NaN, added = Number.NaN, least = Number.NaN] = await compareLatency(
    [direct, own, relay],
    STREAM_ROUNDS,
    async (gateway) => (await stream(gateway, FIRST_TOKEN_MODEL)).firstTokenMs,
  );
  results.report({
    id: 'first-token-added-p50',
    what: 'first token of a stream over the upstream asked directly, one client: p50',
    value: added - base,
    unit: 'ms',
    aim: atMost(ADDED_FIRST_TOKEN_AIM_MS),
    beside: [{ name: relay.name, value: least - base }],
  });
}

function stream(gateway: Gateway, model: string): Promise<StreamTimes> {
  return readStream(() => ask(gateway, model, true), CHAT_TOKEN);
}

// ——— Many streams at once ———

interface Crowd {
  readonly firstTokenMs: number;
  /** Of one core. */
  readonly share: number;
  readonly tokensPerSecond: number;
}

async function streamAtOnce(gateway: Gateway, count: number): Promise<Crowd> {
  const cpu = await gateway.readCpu();
  const begin = performance.now();
  const streams = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      await Bun.sleep((at * ARRIVAL_MS) / count);
      return await stream(gateway, STREAM_MODEL);
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  const tokens = sum(streams.map((one) => one.tokens));
  if (tokens !== count * STREAM_TOKENS) throw new Error(`${gateway.name} lost tokens: ${tokens}.`);
  return {
    firstTokenMs: toMedian(streams.map((one) => one.firstTokenMs)),
    share: ((await gateway.readCpu()) - cpu) / seconds,
    tokensPerSecond: tokens / seconds,
  };
}

async function reportCrowds(own: Gateway, relay: Gateway): Promise<void> {
  await streamAtOnce(own, 16);
  const least = await streamAtOnce(relay, 128);
  const crowd = await streamAtOnce(own, 128);
  results.report({
    id: 'streams-128-core',
    what: `128 streams of ${RATE} tokens a second: of a core`,
    value: crowd.share * 100,
    unit: '%',
    aim: atMost(CORE_AIM * 100),
    beside: [
      { name: relay.name, value: least.share * 100 },
      { name: 'tokens', value: crowd.tokensPerSecond, unit: 'a second' },
    ],
  });
  const base = await streamAtOnce(direct, CROWD);
  const large = await streamAtOnce(own, CROWD);
  results.report({
    id: 'streams-400-added-p50',
    what: `${CROWD} streams in one process, arriving within a second: added first token, p50`,
    value: large.firstTokenMs - base.firstTokenMs,
    unit: 'ms',
    aim: below(CROWD_AIM_MS),
    beside: [{ name: 'in all', value: large.firstTokenMs }],
  });
}

// ——— Peers ———

async function reportPeer(
  own: Gateway,
  { pid, version, ...peer }: Peer,
  aim: number,
  requests: number,
): Promise<void> {
  const gateway: Gateway = { ...peer, readCpu: () => readProcessCpu(pid) };
  try {
    await repeat(requests, CONCURRENCY, () => askPlain(gateway));
    const found = await comparePerCpu([own, gateway], requests);
    const [mine, theirs] = [found.get(own) ?? Number.NaN, found.get(gateway) ?? Number.NaN];
    results.addVersion(peer.name, version);
    results.report({
      id: `over-${peer.name.toLowerCase()}`,
      what: `chat completions handed through: requests a CPU second over those of ${peer.name}, one process each`,
      value: mine / theirs,
      unit: '×',
      aim: atLeast(aim),
      beside: [
        { name: 'understudy', value: mine, unit: 'a CPU second' },
        { name: peer.name, value: theirs, unit: 'a CPU second' },
      ],
    });
  } finally {
    await peer.stop();
  }
}

async function reportPeers(own: Gateway): Promise<void> {
  await reportPeer(own, await startPortkey(upstream.url), PORTKEY_AIM, REQUESTS / 4);
  const liteLlm = await startLiteLlm(upstream.url);
  if (liteLlm === null) console.log('LiteLLM is left out: there is no Python here.');
  else await reportPeer(own, liteLlm, LITELLM_AIM, REQUESTS / 20);
}

const own = await startOwn();
const relay = await startRelay();
await reportPerCpu(own, relay);
await reportLatency(own, relay);
await reportFirstToken(own, relay);
await reportCrowds(own, relay);
if (process.argv.includes('--peers')) await reportPeers(own);
await relay.stop();
await own.stop();
await upstream.stop();
