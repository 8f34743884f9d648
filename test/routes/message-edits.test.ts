/** A message's content is changed where it stands, as programs of astra-assistants-api do: with the rules of a new one. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Json, type RunFixture, startFixture } from '../runs/run-fixture.ts';
import { waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';

const TEXT_MAX = 256_000;
const EDITORS = 8;

let fixture: RunFixture;

beforeAll(async () => {
  fixture = await startFixture();
});

afterAll(() => fixture.stop());

async function createMessage(fields: object = {}): Promise<Json> {
  const threadId = (await fixture.api.post('/v1/threads')).id;
  return fixture.api.post(`/v1/threads/${threadId}/messages`, {
    role: 'user',
    content: 'puppies',
    metadata: { animal: 'dog' },
    ...fields,
  });
}

function toPath({ thread_id: threadId, id }: Json): string {
  return `/v1/threads/${threadId}/messages/${id}`;
}

describe('the content of a message', () => {
  test('is changed as a whole, and nothing else of it', async () => {
    const message = await createMessage();
    const edited = await fixture.api.post(toPath(message), { content: 'kittens' });
    const content = [{ type: 'text', text: { value: 'kittens', annotations: [] } }];
    expect(edited).toEqual({ ...message, content });
    expect(await fixture.api.get(toPath(message))).toEqual(edited);
    expect(await fixture.api.listMessages(message.thread_id)).toEqual([edited]);
  });

  test('may be parts, and comes with metadata or without', async () => {
    const message = await createMessage();
    const image = { type: 'image_url', image_url: { url: 'https://example.com/cat.png' } };
    const content = [{ type: 'text', text: 'kittens' }, image];
    const edited = await fixture.api.post(toPath(message), { content, metadata: { animal: 'cat' } });
    expect(edited.metadata).toEqual({ animal: 'cat' });
    expect(edited.content).toEqual([
      { type: 'text', text: { value: 'kittens', annotations: [] } },
      { type: 'image_url', image_url: { ...image.image_url, detail: 'auto' } },
    ]);
    const renamed = await fixture.api.post(toPath(message), { metadata: { animal: 'lion' } });
    expect(renamed).toEqual({ ...edited, metadata: { animal: 'lion' } });
  });

  test('is refused where a new message would be, naming the place', async () => {
    const message = await createMessage();
    const missing = { type: 'image_file', image_file: { file_id: 'file-nowhere' } };
    const calls: readonly (readonly [unknown, string])[] = [
      ['', 'content'],
      ['x'.repeat(TEXT_MAX + 1), 'content'],
      [[], 'content'],
      [7, 'content'],
      [null, 'content'],
      [[{ type: 'text', text: '' }], 'content[0].text'],
      [[{ type: 'text', text: 'a' }, missing], 'content[1].image_file.file_id'],
    ];
    for (const [content, param] of calls) {
      const answer = await fixture.api.tryPost(toPath(message), { content });
      expect([answer.status, answer.json.error.param]).toEqual([400, param]);
    }
    expect(await fixture.api.get(toPath(message))).toEqual(message);
  });

  test('of a message or a thread that is not there is a 404', async () => {
    const message = await createMessage();
    for (const place of [
      { ...message, id: 'msg_nowhere' },
      { ...message, thread_id: 'thread_nowhere' },
    ]) {
      expect((await fixture.api.tryPost(toPath(place), { content: 'kittens' })).status).toBe(404);
    }
  });

  test('is what later runs read', async () => {
    const message = await createMessage();
    await fixture.api.post(toPath(message), { content: 'kittens' });
    const model = fixture.upstream.script('edited', [steps.say('Meow.')]);
    const assistantId = await fixture.api.createAssistant(model);
    const run = await fixture.api.post(`/v1/threads/${message.thread_id}/runs`, {
      assistant_id: assistantId,
    });
    await fixture.api.waitFor(run, 'completed');
    const sent = JSON.stringify(fixture.upstream.requestsFor(model).map(({ body }) => body));
    expect(sent).toContain('kittens');
    expect(sent).not.toContain('puppies');
  });

  test('waits for the run that reads it, whose other fields may be changed meanwhile', async () => {
    const gate = Promise.withResolvers<void>();
    const model = fixture.upstream.script('busy', [steps.waitFor(gate.promise), steps.say('Done.')]);
    const message = await createMessage();
    const assistantId = await fixture.api.createAssistant(model);
    const run = await fixture.api.post(`/v1/threads/${message.thread_id}/runs`, {
      assistant_id: assistantId,
    });
    await waitUntil('the model is asked', () => fixture.upstream.requestsFor(model).length > 0);
    const refused = await fixture.api.tryPost(toPath(message), { content: 'kittens' });
    expect([refused.status, refused.json.error.message]).toEqual([400, expect.stringContaining(run.id)]);
    expect((await fixture.api.post(toPath(message), { metadata: {} })).content).toEqual(message.content);
    gate.resolve();
    await fixture.api.waitFor(run, 'completed');
    const edited = await fixture.api.post(toPath(message), { content: 'kittens' });
    expect(edited.content[0].text.value).toBe('kittens');
  });

  test('that the model wrote loses its annotations with its text', async () => {
    const model = fixture.upstream.script('wrote', [steps.say('I wrote it.')]);
    const run = await fixture.api.createRun(model);
    await fixture.api.waitFor(run, 'completed');
    const written = (await fixture.api.listMessages(run.thread_id)).at(-1);
    const edited = await fixture.api.post(toPath(written), { content: 'You wrote it.' });
    const content = [{ type: 'text', text: { value: 'You wrote it.', annotations: [] } }];
    expect(edited).toEqual({ ...written, content });
  });
});

test('of edits at the same moment each is made whole, and is told to who made it', async () => {
  const message = await createMessage();
  const edits = Array.from({ length: EDITORS }, (_, at) => ({
    content: `text ${at}`,
    metadata: { by: `${at}` },
  }));
  const made = await Promise.all(edits.map((edit) => fixture.api.post(toPath(message), edit)));
  for (const [at, { content, metadata }] of made.entries()) {
    expect([content[0].text.value, metadata]).toEqual([`text ${at}`, { by: `${at}` }]);
  }
  const last = await fixture.api.get(toPath(message));
  expect(made).toContainEqual(last);
});
