import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type ChatEvent, ProviderError } from '../../../src/providers/provider.ts';
import {
  AWS_KEYS,
  CHAT_PROTOCOLS,
  type ChatProtocolId,
  createProtocolProviders,
  type ProtocolProviders,
  toKey,
  toProtocolCall,
} from '../../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../../support/protocols/protocol-server.ts';
import { breakWith, failAs, type ProtocolStep } from '../../support/protocols/protocol-steps.ts';
import { collectEvents, joinText, toChatRequest, waitUntil } from '../../support/provider-calls.ts';
import { answer, end, hang, raw, redirect, reset, say, wait } from '../../support/upstream-steps.ts';

let server: ProtocolServer;
let providers: ProtocolProviders;

beforeAll(async () => {
  server = await startProtocolServer();
  providers = createProtocolProviders();
});
afterAll(() => server.close());

async function ask(id: ChatProtocolId, name: string, steps: readonly ProtocolStep[], asker = providers) {
  const model = server.script(`${name}-${id}`, steps);
  const events = asker[id].chat(toChatRequest(model), toProtocolCall(id, server.origin));
  const collected = await collectEvents(events);
  return { ...collected, text: joinText(collected.events), sentCount: server.requestsFor(model).length };
}

function toFault(error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  throw new Error(`A ProviderError was expected, not: ${String(error)}`);
}

/** How each says that a key is wrong. */
const BAD_KEY_STATUS: Readonly<Record<ChatProtocolId, number>> = {
  anthropic: 401,
  gemini: 400,
  vertex: 401,
  bedrock: 403,
  cohere: 401,
  mistral: 401,
};

describe.each(CHAT_PROTOCOLS)('%s', (id) => {
  test('is asked again after a 429 and a 500, and then heard', async () => {
    const steps = [failAs(429, { times: 1 }), failAs(500, { times: 1 }), say('At last')];
    const { text, error, sentCount } = await ask(id, 'retried', steps);
    expect([error, text, sentCount]).toEqual([null, 'At last', 3]);
  });

  test('is not asked again where the request is at fault, and is quoted', async () => {
    const { error, sentCount } = await ask(id, 'bad', [failAs(400, { message: 'temperature: too hot' })]);
    const fault = toFault(error);
    expect([fault.kind, fault.status, fault.isRetryable, sentCount]).toEqual([
      'invalid_request',
      400,
      false,
      1,
    ]);
    expect(fault.message).toBe('temperature: too hot');
  });

  test('that knows no such model is a model that is not found', async () => {
    const { error } = await ask(id, 'unknown', [failAs(404, { message: 'model: no-such-model' })]);
    expect([toFault(error).kind, toFault(error).status]).toEqual(['model_not_found', 404]);
  });

  test('that refuses the key is an error of the key, which is not shown', async () => {
    const key = id === 'bedrock' ? AWS_KEYS.secret : toKey(id);
    const message = `API key not valid: ${key}. Please pass a valid API key.`;
    const { error, sentCount } = await ask(id, 'key', [failAs(BAD_KEY_STATUS[id], { message })]);
    const fault = toFault(error);
    expect([fault.kind, sentCount]).toEqual(['authentication', 1]);
    expect(fault.message).toContain('API key not valid');
    expect(fault.message).not.toContain(key);
  });

  test('that breaks off with an error of its own amid a reply fails it, after what it said', async () => {
    const { text, error } = await ask(id, 'fault', [say('Hello the'), breakWith('Overloaded, sorry.')]);
    expect(text).toBe('Hello the');
    const fault = toFault(error);
    expect([fault.kind, fault.isRetryable]).toEqual(['server', true]);
    // Cohere tells no more than that it failed.
    if (id !== 'cohere') expect(fault.message).toBe('Overloaded, sorry.');
  });

  test('that ends its stream early, though properly, fails it', async () => {
    const { text, error, events } = await ask(id, 'early', [say('Hello the'), end()]);
    expect(text).toBe('Hello the');
    expect(events.some(({ type }) => type === 'finish')).toBe(false);
    expect(toFault(error).kind).toBe('protocol');
  });

  test('that says nothing at all is asked again, and is an error at last', async () => {
    const { error, sentCount } = await ask(id, 'nothing', [end()]);
    expect([toFault(error).kind, sentCount]).toEqual(['protocol', 3]);
  });

  test('whose connection breaks amid a reply fails it', async () => {
    const { text, error } = await ask(id, 'reset', [say('Hello the'), reset()]);
    expect(text).toBe('Hello the');
    expect(toFault(error).kind).toBe('connection');
  });

  test('that cannot be reached is asked again, and is an error of the connection', async () => {
    const { error, sentCount } = await ask(id, 'dead', [reset()]);
    expect([toFault(error).kind, sentCount]).toEqual(['connection', 3]);
  });

  test('that sends half of an event, and something else, fails it', async () => {
    const garbage = id === 'bedrock' ? new Uint8Array([0, 0, 0, 9, 1, 2, 3, 4, 5]) : 'data: {"half\n\n';
    const { text, error } = await ask(id, 'garbage', [say('Hello the'), raw(garbage), end()]);
    expect(text).toBe('Hello the');
    expect(toFault(error).kind).toBe('protocol');
  });

  test('that answers with a page of HTML, or a redirect, is an error that shows none of it', async () => {
    const page = answer(200, '<!DOCTYPE html><html><body>Login</body></html>', {
      'content-type': 'text/html',
    });
    const gate = answer(502, '<html><body>Bad gateway nginx</body></html>', { 'content-type': 'text/html' });
    const moved = redirect(`${server.origin}/elsewhere`);
    const faults: ProviderError[] = [];
    for (const [name, step] of Object.entries({ page, gate, moved })) {
      faults.push(toFault((await ask(id, name, [step])).error));
    }
    expect(faults.map(({ kind }) => kind)).toEqual(['protocol', 'server', 'protocol']);
    for (const { message } of faults) expect(message).not.toMatch(/<|nginx|Login/);
    expect(server.requests.some(({ path }) => path === '/elsewhere')).toBe(false);
  });

  test('that falls silent amid a reply is given up after the idle time', async () => {
    const impatient = createProtocolProviders({ timeouts: { idleMs: 60 } });
    const { text, error } = await ask(id, 'silent', [say('Hello the'), hang()], impatient);
    expect([text, toFault(error).kind]).toEqual(['Hello the', 'timeout']);
  });

  test('that does not answer is given up, and is not asked again', async () => {
    const impatient = createProtocolProviders({ timeouts: { firstByteMs: 60 } });
    const { error, sentCount } = await ask(id, 'deaf', [hang()], impatient);
    expect([toFault(error).kind, sentCount]).toEqual(['timeout', 1]);
  });

  test('is left at once when whoever asked is gone', async () => {
    const model = server.script(`left-${id}`, [say('One two three'), hang()]);
    const abort = new AbortController();
    const call = toProtocolCall(id, server.origin, {}, abort.signal);
    const said: ChatEvent[] = [];
    const reason = new Error('gone');
    const listening = (async () => {
      for await (const event of providers[id].chat(toChatRequest(model), call)) said.push(event);
    })();
    await waitUntil(() => joinText(said) === 'One two three');
    abort.abort(reason);
    expect(await listening.catch((error: unknown) => error)).toBe(reason);
    const [request] = server.requestsFor(model);
    expect(await request?.ended).toBe('aborted');
  });

  test('is left when the loop over its events is left', async () => {
    const model = server.script(`broken-${id}`, [say('One two three'), hang()]);
    for await (const event of providers[id].chat(toChatRequest(model), toProtocolCall(id, server.origin))) {
      if (event.type === 'text') break;
    }
    const [request] = server.requestsFor(model);
    expect(await request?.ended).toBe('aborted');
  });
});

describe('the time to wait after a 429', () => {
  const patience = createProtocolProviders({ retryAfterMaxMs: 10 });

  test.each(['anthropic', 'cohere', 'mistral'] as const)('is read from the header of %s', async (id) => {
    const { error, sentCount } = await ask(id, 'wait', [failAs(429, { retrySeconds: 7 })], patience);
    expect([toFault(error).kind, toFault(error).retryAfterMs, sentCount]).toEqual(['rate_limit', 7_000, 1]);
  });

  test.each(['gemini', 'vertex'] as const)('is read from the body of %s', async (id) => {
    const { error, sentCount } = await ask(id, 'wait', [failAs(429, { retrySeconds: 34.4 })], patience);
    expect([toFault(error).kind, toFault(error).retryAfterMs, sentCount]).toEqual(['rate_limit', 34_400, 1]);
  });

  test('is not told by Bedrock, which is asked again after a while', async () => {
    const { error, sentCount } = await ask('bedrock', 'wait', [failAs(429)], patience);
    expect([toFault(error).kind, toFault(error).retryAfterMs, sentCount]).toEqual(['rate_limit', null, 3]);
  });
});

test('an overloaded Anthropic (529) is a failure of the server that may pass', async () => {
  const { error } = await ask('anthropic', 'overloaded', [failAs(529, { message: 'Overloaded' })]);
  const { kind, status, isRetryable, message } = toFault(error);
  expect([kind, status, isRetryable, message]).toEqual(['server', 529, true, 'Overloaded']);
});

test('a checksum that does not fit breaks a reply of Bedrock', async () => {
  const { toEventFrame } = await import('../../support/protocols/event-stream.ts');
  const frame = toEventFrame(
    { ':event-type': 'contentBlockDelta', ':content-type': 'application/json', ':message-type': 'event' },
    { contentBlockIndex: 0, delta: { text: 'tampered' } },
  );
  frame[frame.length - 1] = (frame[frame.length - 1] ?? 0) ^ 1;
  const { text, error } = await ask('bedrock', 'checksum', [say('Hello'), raw(frame), end()]);
  expect([text, toFault(error).kind]).toEqual(['Hello', 'protocol']);
});

test('a chunk of Mistral without a choice, cut anywhere, breaks no reply', async () => {
  const empty =
    'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":null}\n\n';
  const halves = [raw(empty.slice(0, 90)), wait(5), raw(empty.slice(90))];
  const said = await ask('mistral', 'no-choice', [say('Not "choices":[] '), ...halves, say('indeed')]);
  expect([said.error, said.text]).toEqual([null, 'Not "choices":[] indeed']);
});
