/** `examples/functions.ts` and `functions.py`: several functions at once, round after round, and what happens when one fails. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { isRecord, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTool, callTools, say } from '../support/upstream-steps.ts';
import { LANGUAGES, run, runToEnd, TEST_MS } from './programs.ts';

let upstream: ScriptedUpstream;
let server: TestServer;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  server = await startServer({ env: { OPENAI_BASE_URL: upstream.url } });
}, TEST_MS);

afterAll(async () => {
  await server?.stop();
  await upstream?.close();
});

/** The outputs that the model was shown in its last turn, by the ids of their calls. */
function readOutputs(model: string): Record<string, unknown> {
  const body = upstream.requestsFor(model).at(-1)?.body;
  const messages = isRecord(body) && Array.isArray(body.messages) ? body.messages : [];
  const tools = messages.filter(isRecord).filter(({ role }) => role === 'tool');
  return Object.fromEntries(tools.map((one) => [one.tool_call_id, JSON.parse(String(one.content))]));
}

for (const { name, isThere, toCommand } of LANGUAGES) {
  test.skipIf(!isThere)(
    `functions.${name} carries out its questions with the rehearsal model: two calls at once, then one that needs them, then one that fails`,
    async () => {
      const output = await run(toCommand('functions'), { url: server.url });
      const [, first = '', second = ''] = output.split('\n> ');
      const rounds = first.split('\n(round ').slice(1);
      expect(rounds.map((round) => round.split('\n')[0])).toEqual(['1: 2 calls)', '2: 1 call)']);
      expect(rounds[0]).toContain('get_stock {"product":"lamps"} →');
      expect(rounds[0]).toContain('get_price {"product":"lamps"} →');
      expect(rounds[1]).toContain('place_order {"product":"lamps","quantity":3} →');
      expect(first.replaceAll(' ', '')).toContain('answered:{"ordered":3,"product":"lamps","cents":5850}');
      expect(second.replaceAll(' ', '')).toContain('answered:{"error":"Only6chairsareinstock."}');
    },
    TEST_MS,
  );

  test.skipIf(!isThere)(
    `functions.${name} hands what is wrong with a call back to the model, and lets it try again`,
    async () => {
      const order = (id: string, args: unknown) => ({ name: 'place_order', arguments: args, id });
      const model = upstream.script(
        `errors-${name}`,
        [
          callTools([
            order('unknown', { product: 'boats', quantity: 1 }),
            order('none', { product: 'lamps', quantity: 0 }),
            order('half', { product: 'lamps', quantity: 1.5 }),
            order('missing', { product: 'lamps' }),
            order('too-many', { product: 'lamps', quantity: 41 }),
            { name: 'close_shop', arguments: {}, id: 'no-function' },
            { name: 'toString', arguments: {}, id: 'inherited' },
          ]),
        ],
        [callTool('place_order', { product: 'lamps', quantity: 40 }, { id: 'right' })],
        [say('All ', 'lamps are yours.')],
      );
      const output = await run([...toCommand('functions'), 'All the lamps, please.'], {
        url: server.url,
        env: { OPENAI_MODEL: model },
      });
      expect(output).toContain('(round 1: 7 calls)');
      expect(output).toContain('(round 2: 1 call)');
      expect(output).toContain('All lamps are yours.');
      expect(readOutputs(model)).toEqual({
        unknown: { error: "'product' must be one of lamps, chairs." },
        none: { error: "'quantity' must be 1 or more." },
        half: { error: "'quantity' must be an integer." },
        missing: { error: "'quantity' must be an integer." },
        'too-many': { error: 'Only 40 lamps are in stock.' },
        'no-function': { error: "There is no function 'close_shop'." },
        inherited: { error: "There is no function 'toString'." },
        right: { ordered: 40, product: 'lamps', cents: 78_000 },
      });
    },
    TEST_MS,
  );

  test.skipIf(!isThere)(
    `functions.${name} ends a run in which the calls do not end`,
    async () => {
      const model = upstream.script(`endless-${name}`, [callTool('get_stock', { product: 'lamps' })]);
      const command = [...toCommand('functions'), 'For ever?'];
      const { code, output, errors } = await runToEnd(command, {
        url: server.url,
        env: { OPENAI_MODEL: model },
      });
      expect(code).toBe(1);
      expect(errors).toContain('The run is requires_action');
      expect(output).toContain('(round 10: ');
      expect(output).not.toContain('(round 11: ');
      expect(upstream.requestsFor(model)).toHaveLength(11);
      const [thread] = (await server.call('GET', '/v1/threads?limit=1')).json.data;
      const runs = await server.call('GET', `/v1/threads/${thread.id}/runs`);
      expect(runs.json.data).toMatchObject([{ model, status: 'cancelled' }]);
    },
    TEST_MS,
  );
}
