import { describe, expect, test } from 'bun:test';
import { ApiError } from '../../src/errors.ts';
import { createFormScanner } from '../../src/services/form-scanner.ts';
import { findMember } from '../../src/services/json-member.ts';
import { createHeldBytes, toFormBody, toJsonBody } from '../../src/services/pass-through-bodies.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A stream of these pieces; counts how many have been asked for. */
function toStream(pieces: readonly Uint8Array[]): {
  stream: ReadableStream<Uint8Array>;
  taken: () => number;
} {
  let at = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces[at];
        at += 1;
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, taken: () => at };
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

async function readAll(body: Uint8Array | ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null || body instanceof Uint8Array) return decode(body ?? new Uint8Array());
  return await new Response(body).text();
}

async function catchApiError(promise: Promise<unknown>): Promise<ApiError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('An ApiError was expected.');
}

const FILE = `--model\r\ncontent-disposition: form-data; name="model"\r\n\r\nnot this\r\n--${'x'.repeat(50)}`;
const part = (head: string, body: string): string =>
  `--edge\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
const AUDIO = part('name="file"; filename="a.mp3"', FILE);
const MODEL = part('name="model"', 'openai/whisper-1');
const END = '--edge--\r\n';

describe('a model’s name in a form', () => {
  test('is found wherever the form is cut, and where a file looks like the form itself', () => {
    const form = encode(AUDIO + MODEL + part('name="language"', 'en') + END);
    for (let size = 1; size <= form.length; size += 1) {
      const scanner = createFormScanner('edge', 'model');
      for (const piece of cut(form, size)) if (!scanner.isDone) scanner.push(piece);
      const { field } = scanner;
      expect(field?.value).toBe('openai/whisper-1');
      expect(decode(form.subarray(field?.start, field?.end))).toBe('openai/whisper-1');
    }
  });

  test.each([
    ['without quotes', part('name=model', 'm'), 'm'],
    [
      'in lower case, with a type',
      '--edge\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n',
      'm',
    ],
    ['empty', part('name="model"', ''), ''],
  ])('is found %s', (_, form, value) => {
    const scanner = createFormScanner('edge', 'model');
    scanner.push(encode(form + END));
    expect(scanner.field?.value).toBe(value);
  });

  test.each([
    ['another field', part('name="models"', 'm')],
    ['a file of that name', part('name="model"; filename="m"', 'm')],
    ['a field that is named in its value', part('name="prompt"', 'name="model"')],
  ])('is not taken from %s', (_, form) => {
    const scanner = createFormScanner('edge', 'model');
    scanner.push(encode(form + END));
    expect(scanner.isDone).toBe(true);
    expect(scanner.field).toBeNull();
  });

  test('of more than its bound, and a head without end, are refused', () => {
    const long = createFormScanner('edge', 'model');
    expect(() => long.push(encode(part('name="model"', 'm'.repeat(5000)) + END))).toThrow(/too long/);
    const endless = createFormScanner('edge', 'model');
    expect(() => endless.push(encode(`--edge\r\nx: ${'y'.repeat(20_000)}`))).toThrow(/head/);
  });
});

describe('a form that is handed on', () => {
  const budget = () => createHeldBytes(4096, 8192);

  test.each([1, 7, 64, 100_000])('is the same bytes but for the new name (cut every %p)', async (size) => {
    const form = encode(AUDIO + MODEL + part('name="language"', 'en') + END);
    const { stream } = toStream(cut(form, size));
    const named = await toFormBody(stream, 'edge', form.length, budget());
    expect(named.model).toBe('openai/whisper-1');
    const { body, contentLength } = named.toBody('whisper-1');
    const sent = await readAll(body);
    expect(sent).toBe(decode(form).replace('openai/whisper-1', 'whisper-1'));
    expect(contentLength).toBe(encode(sent).length);
  });

  test('is read no further than to the name before it is sent', async () => {
    const pieces = [encode(MODEL), ...cut(encode(AUDIO), 10), encode(END)];
    const { stream, taken } = toStream(pieces);
    const held = budget();
    const named = await toFormBody(stream, 'edge', null, held);
    // The delimiter behind the value says that it is whole.
    expect(taken()).toBe(2);
    const { body, contentLength } = named.toBody('openai/whisper-1');
    expect(contentLength).toBeNull();
    expect(await readAll(body)).toBe(MODEL + AUDIO + END);
    // What was held is free again.
    expect(held.take(8192)).toBe(true);
  });

  test('without a name goes on whole', async () => {
    const { stream } = toStream(cut(encode(AUDIO + END), 20));
    const named = await toFormBody(stream, 'edge', null, budget());
    expect(named.model).toBeNull();
    expect(await readAll(named.toBody(null).body)).toBe(AUDIO + END);
  });

  test('whose name comes too late is a 413 that says where to put it', async () => {
    const held = budget();
    const { stream } = toStream([
      ...cut(encode(part('name="file"; filename="a"', 'x'.repeat(10_000))), 500),
      encode(MODEL),
    ]);
    const error = await catchApiError(toFormBody(stream, 'edge', null, held));
    expect(error).toMatchObject({ status: 413, param: 'model' });
    expect(error.message).toContain('?model=');
    expect(held.take(8192)).toBe(true);
  });

  test('is refused where too many are held at once, and taken when they have gone', async () => {
    const bytes = encode(AUDIO + MODEL + END);
    const held = createHeldBytes(4096, bytes.length * 1.5);
    const form = cut(bytes, 100);
    const first = await toFormBody(toStream(form).stream, 'edge', null, held);
    const error = await catchApiError(toFormBody(toStream(form).stream, 'edge', null, held));
    expect(error).toMatchObject({ status: 503 });
    await readAll(first.toBody('m').body);
    const third = await toFormBody(toStream(form).stream, 'edge', null, held);
    expect(third.model).toBe('openai/whisper-1');
  });
});

describe('a JSON body that is handed on', () => {
  const rename = (text: string): string => {
    const named = toJsonBody(encode(text), null);
    return decode(named.toBody('new').body as Uint8Array);
  };

  test.each([
    ['{"model":"old","n":1.0}', '{"model":"new","n":1.0}'],
    [
      '{ "seed": 12345678901234567890 , "model" :\n "old" }',
      '{ "seed": 12345678901234567890 , "model" :\n "new" }',
    ],
    [
      '{"a":{"model":"x"},"b":["model","y"],"model":"old"}',
      '{"a":{"model":"x"},"b":["model","y"],"model":"new"}',
    ],
    ['{"prompt":"\\"model\\":\\"x\\"","model":"old"}', '{"prompt":"\\"model\\":\\"x\\"","model":"new"}'],
    ['{"m\\u006fdel":"old"}', '{"m\\u006fdel":"new"}'],
    ['{"model":"first","model":"old"}', '{"model":"first","model":"new"}'],
    ['{"x":"model","model":"o\\"l}d"}', '{"x":"model","model":"new"}'],
  ])('%s has the new name and no other change', (text, expected) => {
    expect(rename(text)).toBe(expected);
  });

  test('is the same bytes where the name stays', () => {
    const bytes = encode('{"model":"same"}');
    expect(toJsonBody(bytes, null).toBody('same').body).toBe(bytes);
  });

  test('has no member where there is none at its outside', () => {
    expect(findMember('{"a":{"model":"x"}}', 'model')).toBeNull();
    expect(findMember('{"model":5}', 'model')).toBeNull();
  });
});
