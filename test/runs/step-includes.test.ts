/** `include[]`: what steps show only where it is asked for, and what cannot be asked for. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Json, type RunFixture, startFixture, toRunPath } from './run-fixture.ts';

const CONTENT = 'step_details.tool_calls[*].file_search.results[*].content';
const NAMES = ['include[]', 'include[0]', 'include'];

let fixture: RunFixture;
let run: Json;

beforeAll(async () => {
  fixture = await startFixture();
  run = await fixture.api.createRun('plain-model');
  await fixture.api.waitFor(run, 'completed');
});

afterAll(() => fixture.stop());

test('is taken on one step, on the list, and where runs are created, in every way that clients write lists', async () => {
  const { api } = fixture;
  const [step] = await api.listSteps(run);
  for (const name of NAMES) {
    const query = `${encodeURIComponent(name)}=${encodeURIComponent(CONTENT)}`;
    expect(await api.get(`${toRunPath(run)}/steps/${step.id}?${query}`)).toEqual(step);
    expect((await api.get(`${toRunPath(run)}/steps?limit=5&${query}`)).data).toEqual([step]);
    const body = { assistant_id: run.assistant_id };
    const begun = await api.post(`/v1/threads/${await api.createThread()}/runs?${query}`, body);
    expect(begun.object).toBe('thread.run');
    expect((await api.post(`/v1/threads/runs?${query}`, body)).object).toBe('thread.run');
  }
});

test('anything else is a 400 that names it, and begins no run', async () => {
  const { server, api } = fixture;
  const [step] = await api.listSteps(run);
  const threadId = await api.createThread();
  const calls: readonly (readonly [string, string, object?])[] = [
    ['GET', `${toRunPath(run)}/steps/${step.id}`],
    ['GET', `${toRunPath(run)}/steps`],
    ['POST', `/v1/threads/${threadId}/runs`, { assistant_id: run.assistant_id }],
    ['POST', '/v1/threads/runs', { assistant_id: run.assistant_id }],
  ];
  for (const [method, path, body] of calls) {
    const answer = await server.call(method, `${path}?include[]=everything`, body);
    expect([answer.status, answer.json.error]).toMatchObject([400, { param: 'include[]' }]);
    expect(answer.json.error.message).toContain(CONTENT);
  }
  expect((await api.get(`/v1/threads/${threadId}/runs`)).data).toEqual([]);
});
