/** Time to the first token of a streamed run, over that of the upstream asked directly; one client. `node scripts/bun.mjs bench/first-token.ts` */

import {
  askDirectly,
  atMost,
  CHAT_TOKEN,
  createAssistant,
  isQuick,
  liftCallLimit,
  openResults,
  RUN_TOKEN,
  readStream,
  startRun,
  startServer,
  startUpstream,
  toChatBody,
  toPercentiles,
} from './harness.ts';

liftCallLimit();

const ROUNDS = isQuick ? 100 : 600;
const WARM_UP = 50;
const P50_AIM_MS = 5;
const P99_AIM_MS = 15;
/** A model that takes a moment, as models do. */
const MODEL = 'paced:5@200';

const upstream = await startUpstream();
const server = await startServer({ upstreamUrl: upstream.url });
const assistantId = await createAssistant(server, MODEL);
const times = { direct: [] as number[], run: [] as number[], gateway: [] as number[] };
for (let round = -WARM_UP; round < ROUNDS; round += 1) {
  // Side by side, so that what disturbs one disturbs the others.
  const direct = await readStream(() => askDirectly(upstream, MODEL), CHAT_TOKEN);
  const run = await readStream(() => startRun(server, assistantId, true), RUN_TOKEN);
  const gateway = await readStream(() => server.post('/v1/chat/completions', toChatBody(MODEL)), CHAT_TOKEN);
  if (round < 0) continue;
  times.direct.push(direct.firstTokenMs);
  times.run.push(run.firstTokenMs);
  times.gateway.push(gateway.firstTokenMs);
}
await server.stop();
await upstream.stop();

const results = openResults('first-token');
const direct = toPercentiles(times.direct);
const gateway = toPercentiles(times.gateway);
const run = toPercentiles(times.run);
for (const [id, aim] of [
  ['p50', P50_AIM_MS],
  ['p99', P99_AIM_MS],
] as const) {
  results.report({
    id: `added-${id}`,
    what: `first token of a streamed run over the upstream asked directly, one client: ${id}`,
    value: run[id] - direct[id],
    unit: 'ms',
    aim: atMost(aim),
    beside: [{ name: 'the upstream itself', value: direct[id] }],
  });
}
results.report({
  id: 'gateway-added-p50',
  what: 'first token of a chat completion that is handed through, over the upstream asked directly: p50',
  value: gateway.p50 - direct.p50,
  unit: 'ms',
});
