/** Time to the first token of a streamed run, over that of the upstream asked directly; one client. `node scripts/bun.mjs bench/first-token.ts` */

import {
  askDirectly,
  CHAT_TOKEN,
  createAssistant,
  isQuick,
  liftCallLimit,
  RUN_TOKEN,
  readStream,
  report,
  startRun,
  startServer,
  startUpstream,
  toChatBody,
  toMedian,
  toQuantile,
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

for (const [name, values] of Object.entries(times)) {
  console.log(
    `${name}: p50 ${toMedian(values).toFixed(2)} ms, p99 ${toQuantile(values, 0.99).toFixed(2)} ms`,
  );
}
const p50 = toMedian(times.run) - toMedian(times.direct);
const p99 = toQuantile(times.run, 0.99) - toQuantile(times.direct, 0.99);
const gateway = toMedian(times.gateway) - toMedian(times.direct);
console.log(`gateway adds ${gateway.toFixed(2)} ms at p50`);
report('first token, added p50', `${p50.toFixed(2)} ms`, `≤ ${P50_AIM_MS} ms`, p50 <= P50_AIM_MS);
report('first token, added p99', `${p99.toFixed(2)} ms`, `≤ ${P99_AIM_MS} ms`, p99 <= P99_AIM_MS);
