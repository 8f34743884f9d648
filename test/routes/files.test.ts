/** Files over HTTP: through the official client, by hand, and from clients that misbehave. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toFile } from 'openai';
import { makeBytes, toHash } from '../contract/blob-store.ts';
import {
  connectRaw,
  FORM_TYPE,
  type FormPart,
  toField,
  toFilePart,
  toFormBytes,
  toHead,
  toOpenForm,
} from '../support/forms.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { countPieces, countRecords } from '../support/stored.ts';

const MIB = 1024 * 1024;
let server: TestServer;

beforeAll(async () => {
  server = await startServer({ flags: ['--file-limit-mib', '24'] });
});
afterAll(() => server.stop());

async function postForm(parts: readonly FormPart[]) {
  const response = await fetch(`${server.url}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': FORM_TYPE },
    body: toFormBytes(parts),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape.
  return { status: response.status, json: (await response.json()) as any };
}

async function upload(name: string, content: string | Uint8Array, purpose = 'assistants') {
  const { status, json } = await postForm([
    toField('purpose', purpose),
    toFilePart('file', `filename="${name}"`, content),
  ]);
  if (status !== 200) throw new Error(JSON.stringify(json));
  return json as { id: string };
}

async function download(id: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(`${server.url}/v1/files/${id}/content`, { method, headers });
  const bytes = await response.bytes();
  return { status: response.status, headers: response.headers, bytes, text: new TextDecoder().decode(bytes) };
}

describe('the official client', () => {
  test('sends a buffer, waits until it is processed, and gets its bytes back', async () => {
    const client = server.client();
    const bytes = makeBytes(300_000, 1);
    const file = await client.files.create({ file: await toFile(bytes, 'a.bin'), purpose: 'user_data' });
    expect(file).toMatchObject({ object: 'file', bytes: 300_000, filename: 'a.bin', purpose: 'user_data' });
    expect(Math.abs(file.created_at - Date.now() / 1000)).toBeLessThan(30);
    const processed = await client.files.waitForProcessing(file.id, { pollInterval: 10 });
    expect(processed.status).toBe('processed');
    expect(await client.files.retrieve(file.id)).toEqual(processed);
    const content = await client.files.content(file.id);
    expect(toHash(new Uint8Array(await content.arrayBuffer()))).toBe(toHash(bytes));
  });

  test('streams a file from the disk, without saying how long it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'understudy-files-'));
    const path = join(folder, 'Übersicht 日本.txt');
    const bytes = makeBytes(20 * MIB + 3, 2);
    await Bun.write(path, bytes);
    const client = server.client();
    const file = await client.files.create({ purpose: 'assistants', file: createReadStream(path) });
    await rm(folder, { recursive: true });
    expect(file).toMatchObject({ bytes: bytes.length, filename: 'Übersicht 日本.txt' });
    const content = await client.files.content(file.id);
    expect(toHash(new Uint8Array(await content.arrayBuffer()))).toBe(toHash(bytes));
  });

  test('sends what another server has answered', async () => {
    const source = Bun.serve({ port: 0, fetch: () => new Response('from afar') });
    const client = server.client();
    const file = await client.files.create({
      file: await fetch(`${source.url.href}notes.md`),
      purpose: 'assistants',
    });
    await source.stop(true);
    expect(file.filename).toBe('notes.md');
    expect(await (await client.files.content(file.id)).text()).toBe('from afar');
  });

  test('says when the file expires', async () => {
    const client = server.client();
    const file = await client.files.create({
      file: await toFile(Buffer.from('x'), 'a.txt'),
      purpose: 'assistants',
      expires_after: { anchor: 'created_at', seconds: 7200 },
    });
    expect(file.expires_at).toBe(file.created_at + 7200);
    const batch = await client.files.create({
      file: await toFile(Buffer.from('{}'), 'b.jsonl'),
      purpose: 'batch',
    });
    expect(batch.expires_at).toBe(batch.created_at + 30 * 24 * 60 * 60);
  });

  test('walks a list page by page, by purpose, and deletes', async () => {
    const client = server.client();
    const made: string[] = [];
    for (let i = 0; i < 5; i += 1) made.push((await upload(`e${i}.txt`, 'x', 'evals')).id);
    await upload('other.txt', 'x', 'vision');
    const seen: string[] = [];
    const query = { purpose: 'evals', limit: 2, order: 'asc' as const };
    for await (const file of client.files.list(query)) seen.push(file.id);
    expect(seen).toEqual(made);
    const newest = await client.files.list({ purpose: 'evals' });
    expect(newest.data.map((file) => file.id)).toEqual(made.toReversed());
    expect(await client.files.delete(made[0] ?? '')).toEqual({
      id: made[0] ?? '',
      object: 'file',
      deleted: true,
    });
    expect((await client.files.list({ purpose: 'evals' })).data.map((file) => file.id)).not.toContain(
      made[0],
    );
    expect((await server.call('DELETE', `/v1/files/${made[0]}`)).status).toBe(404);
    expect((await download(made[0] ?? '')).status).toBe(404);
  });
});

describe('content', () => {
  test('comes with its type and name, and is never shown by a browser', async () => {
    const { id } = await upload('Bericht %22März%22 – 日本.html', '<script>alert(1)</script>');
    const { headers, text } = await download(id);
    expect(text).toBe('<script>alert(1)</script>');
    expect(headers.get('content-type')).toBe('text/html');
    expect(headers.get('content-length')).toBe('25');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain('sandbox');
    const disposition = headers.get('content-disposition') ?? '';
    expect(disposition).toStartWith('attachment;');
    const encoded = /filename\*=UTF-8''(\S+)$/.exec(disposition)?.[1] ?? '';
    expect(decodeURIComponent(encoded)).toBe('Bericht "März" – 日本.html');
  });

  test('has the type that was sent, else that of its name, else bytes', async () => {
    const types: [name: string, sent: string | null, type: string][] = [
      ['a.pdf', null, 'application/pdf'],
      ['a.pdf', 'application/octet-stream', 'application/pdf'],
      ['a.unknown', null, 'text/plain'],
      ['a.unknown', 'application/octet-stream', 'application/octet-stream'],
      ['a.txt', 'application/vnd.custom+json', 'application/vnd.custom+json'],
      ['a.txt', 'no type at all', 'text/plain'],
    ];
    for (const [name, sent, type] of types) {
      const { json } = await postForm([
        toFilePart('file', `filename="${name}"`, 'x', sent),
        toField('purpose', 'assistants'),
      ]);
      expect([name, sent, (await download(json.id)).headers.get('content-type')]).toEqual([name, sent, type]);
    }
  });

  test('is told by HEAD without its bytes, its length too', async () => {
    const { id } = await upload('big.bin', makeBytes(3 * MIB, 3));
    const { status, headers, bytes } = await download(id, {}, 'HEAD');
    expect([status, bytes.length, headers.get('content-length')]).toEqual([200, 0, String(3 * MIB)]);
    expect(headers.get('accept-ranges')).toBe('bytes');
    expect((await download('file-x', {}, 'HEAD')).status).toBe(404);
    const posted = await server.call('POST', `/v1/files/${id}/content`);
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('is given in ranges, so that a download can be gone on with', async () => {
    const whole = makeBytes(3 * MIB, 4);
    const { id } = await upload('big.bin', whole);
    const size = whole.length;
    const ranges: [header: string, start: number, end: number][] = [
      ['bytes=0-0', 0, 1],
      ['bytes=262143-262144', 262_143, 262_145],
      ['bytes=1000000-', 1_000_000, size],
      ['bytes=-10', size - 10, size],
      [`bytes=5-${size + 100}`, 5, size],
    ];
    for (const [header, start, end] of ranges) {
      const { status, headers, bytes } = await download(id, { range: header });
      expect([status, headers.get('content-range')]).toEqual([206, `bytes ${start}-${end - 1}/${size}`]);
      expect(toHash(bytes)).toBe(toHash(whole.slice(start, end)));
    }
    for (const header of ['bytes=0-1,5-6', 'lines=1-2', 'bytes=5-2', 'bytes=-']) {
      const { status, bytes } = await download(id, { range: header });
      expect([header, status, bytes.length]).toEqual([header, 200, size]);
    }
    for (const header of [`bytes=${size}-`, 'bytes=-0']) {
      const { status, headers, text } = await download(id, { range: header });
      expect([status, headers.get('content-range')]).toEqual([416, `bytes */${size}`]);
      expect(JSON.parse(text).error.code).toBe('range_not_satisfiable');
    }
    const { headers } = await download(id, {}, 'HEAD');
    const etag = headers.get('etag') ?? '';
    expect((await download(id, { range: 'bytes=0-0', 'if-range': etag })).status).toBe(206);
    expect((await download(id, { range: 'bytes=0-0', 'if-range': '"other"' })).status).toBe(200);
  });

  test('that is deleted while it is read breaks off, and does not end as if it were whole', async () => {
    const { id } = await upload('big.bin', makeBytes(20 * MIB, 5));
    const response = await fetch(`${server.url}/v1/files/${id}/content`);
    const reader = response.body?.getReader();
    await reader?.read();
    await server.call('DELETE', `/v1/files/${id}`);
    let bytes = 0;
    const readOn = async (): Promise<string> => {
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) return 'whole';
        bytes += value?.byteLength ?? 0;
      }
    };
    expect(await readOn().catch(() => 'broken')).toBe('broken');
    expect(bytes).toBeLessThan(20 * MIB);
    await waitUntil('the log says so', () => server.output().includes('"event":"download broken off"'));
    expect(server.output()).not.toContain('error: ');
  });
});

describe('what is refused', () => {
  const purpose = toField('purpose', 'assistants');
  const file = toFilePart('file', 'filename="a.txt"', 'x');
  const cases: Readonly<Record<string, { parts: readonly FormPart[]; param: string; message: RegExp }>> = {
    'a missing purpose': {
      parts: [file],
      param: 'purpose',
      message: /^Missing required parameter: 'purpose'/,
    },
    'an unknown purpose': {
      parts: [toField('purpose', 'batch_output'), file],
      param: 'purpose',
      message: /'batch_output'.*'assistants', 'batch', 'fine-tune', 'vision', 'user_data'(,| and) 'evals'/,
    },
    'an empty file': {
      parts: [purpose, toFilePart('file', 'filename="a"', '')],
      param: 'file',
      message: /empty/,
    },
    'a file without a name': {
      parts: [purpose, toFilePart('file', 'filename=""', 'x')],
      param: 'file',
      message: /no name/,
    },
    'a name without end': {
      parts: [purpose, toFilePart('file', `filename="${'a'.repeat(2000)}"`, 'x')],
      param: 'file',
      message: /1024 characters/,
    },
    'a batch that is no .jsonl': {
      parts: [toField('purpose', 'batch'), file],
      param: 'file',
      message: /^Invalid file format for Batch API. Must be .jsonl$/,
    },
    'a fine-tuning file that is no .jsonl': {
      parts: [toField('purpose', 'fine-tune'), file],
      param: 'file',
      message: /^Invalid file format for Fine-Tuning API. Must be .jsonl$/,
    },
    'an expiry that is too soon': {
      parts: [
        purpose,
        toField('expires_after[anchor]', 'created_at'),
        toField('expires_after[seconds]', '60'),
        file,
      ],
      param: 'expires_after.seconds',
      message: /3600/,
    },
    'an expiry that is no number': {
      parts: [
        purpose,
        toField('expires_after[anchor]', 'created_at'),
        toField('expires_after[seconds]', 'x'),
        file,
      ],
      param: 'expires_after.seconds',
      message: /integer/,
    },
    'an expiry without an anchor': {
      parts: [purpose, toField('expires_after[seconds]', '3600'), file],
      param: 'expires_after.anchor',
      message: /anchor/,
    },
  };

  for (const [name, { parts, param, message }] of Object.entries(cases)) {
    test(`${name}: 400 that names '${param}', and nothing is left`, async () => {
      const before = [
        await countPieces(server.dataDirectory),
        await countRecords(server.dataDirectory, 'files'),
      ];
      const { status, json } = await postForm(parts);
      expect([status, json.error.type, json.error.param]).toEqual([400, 'invalid_request_error', param]);
      expect(json.error.message).toMatch(message);
      expect([
        await countPieces(server.dataDirectory),
        await countRecords(server.dataDirectory, 'files'),
      ]).toEqual(before);
      expect(await countRecords(server.dataDirectory, 'loose_blobs')).toBe(0);
    });
  }

  test('a body that is no form is 415', async () => {
    const { status, json } = await server.call('POST', '/v1/files', { purpose: 'assistants' });
    expect([status, json.error.code]).toEqual([415, 'unsupported_media_type']);
  });

  test('an unknown cursor is 400, and an unknown file is 404 in the words of OpenAI', async () => {
    const listed = await server.call('GET', '/v1/files?after=file-x');
    expect([listed.status, listed.json.error.param]).toEqual([400, 'after']);
    const { status, json } = await server.call('GET', '/v1/files/file-x');
    expect(status).toBe(404);
    expect(json.error).toEqual({
      message: 'No such File object: file-x',
      type: 'invalid_request_error',
      param: 'id',
      code: null,
    });
  });

  test('a file beyond the limit is 413 as soon as that is known: by its length before a byte, else in time', async () => {
    const before = await countPieces(server.dataDirectory);
    const declared = await connectRaw(server.url);
    await declared.write(toHead('/v1/files', 64 * MIB));
    await waitUntil('the refusal has come', () => declared.received().includes('\r\n\r\n'));
    expect(declared.received()).toStartWith('HTTP/1.1 413 ');
    declared.abort();

    const open = await connectRaw(server.url);
    await open.write(toHead('/v1/files', null));
    const form = toOpenForm([purpose, toFilePart('file', 'filename="big"', makeBytes(24 * MIB + 1, 1))]);
    for (let at = 0; at < form.length; at += MIB) {
      const part = form.subarray(at, at + MIB);
      await open.write(`${part.length.toString(16)}\r\n`);
      await open.write(part);
      await open.write('\r\n');
    }
    await waitUntil('the refusal has come', () => open.received().includes('\r\n\r\n'));
    expect(open.received()).toStartWith('HTTP/1.1 413 ');
    open.abort();
    await waitUntil('nothing is left', async () => (await countPieces(server.dataDirectory)) === before);
    expect(await countRecords(server.dataDirectory, 'loose_blobs')).toBe(0);
  });
});

describe('what is cut short', () => {
  test('a client that goes away in the middle leaves nothing', async () => {
    const before = await countPieces(server.dataDirectory);
    const listed = (await server.call('GET', '/v1/files')).json.data.length;
    for (const length of [null, 10 * MIB]) {
      const form = toOpenForm([
        toField('purpose', 'assistants'),
        toFilePart('file', 'filename="a"', makeBytes(4 * MIB, 1)),
      ]);
      const connection = await connectRaw(server.url);
      await connection.write(toHead('/v1/files', length));
      if (length === null) await connection.write(`${form.length.toString(16)}\r\n`);
      await connection.write(form);
      await waitUntil('some of it is stored', async () => (await countPieces(server.dataDirectory)) > before);
      connection.abort();
      await waitUntil('nothing is left', async () => (await countPieces(server.dataDirectory)) === before);
      await waitUntil(
        'its note is gone',
        async () => (await countRecords(server.dataDirectory, 'loose_blobs')) === 0,
      );
    }
    expect((await server.call('GET', '/v1/files')).json.data.length).toBe(listed);
  });

  test('kill -9 in the middle: after a restart nothing is to be seen, and the bytes go', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-files-'));
    const first = await startServer({ dataDirectory });
    const kept = await first.client().files.create({
      file: await toFile(makeBytes(600_000, 9), 'kept.bin'),
      purpose: 'user_data',
    });
    const form = toOpenForm([toFilePart('file', 'filename="a"', makeBytes(4 * MIB, 1))]);
    const connection = await connectRaw(first.url);
    await connection.write(toHead('/v1/files', 100 * MIB));
    await connection.write(form);
    await waitUntil('some of it is stored', async () => (await countPieces(dataDirectory)) > 8);
    await first.kill();
    expect(await countPieces(dataDirectory)).toBeGreaterThan(8);

    const second = await startServer({ dataDirectory });
    const { json } = await second.call('GET', '/v1/files');
    expect(json.data.map((file: { id: string }) => file.id)).toEqual([kept.id]);
    await waitUntil('only what was kept is left', async () => (await countPieces(dataDirectory)) === 3);
    await waitUntil('the note is gone', async () => (await countRecords(dataDirectory, 'loose_blobs')) === 0);
    const content = await second.client().files.content(kept.id);
    expect(toHash(new Uint8Array(await content.arrayBuffer()))).toBe(toHash(makeBytes(600_000, 9)));
    await second.stop();
    await rm(dataDirectory, { recursive: true });
  }, 60_000);

  test('what is being sent when the server is told to stop is still taken', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-files-'));
    const stopped = await startServer({ dataDirectory });
    const form = toFormBytes([
      toField('purpose', 'assistants'),
      toFilePart('file', 'filename="a"', makeBytes(MIB, 1)),
    ]);
    const connection = await connectRaw(stopped.url);
    await connection.write(toHead('/v1/files', form.length));
    await connection.write(form.subarray(0, MIB / 2));
    await waitUntil('some of it is stored', async () => (await countPieces(dataDirectory)) > 0);
    const ended = stopped.stop();
    await connection.write(form.subarray(MIB / 2));
    await waitUntil('the answer has come', () => connection.received().includes('"status":"processed"'));
    expect(await ended).toBe(0);
    expect(await countRecords(dataDirectory, 'files')).toBe(1);
    await rm(dataDirectory, { recursive: true });
  }, 60_000);
});

test('of several workers, each gives what another has taken, and deletes it', async () => {
  const shared = await startServer({ flags: ['--workers', '2'] });
  const client = shared.client();
  const contents = Array.from({ length: 12 }, (_, seed) => makeBytes(400_000 + seed, seed));
  const made = await Promise.all(
    contents.map(async (bytes, index) =>
      client.files.create({ file: await toFile(bytes, `${index}.bin`), purpose: 'user_data' }),
    ),
  );
  // A connection of its own for each: the system spreads them.
  const headers = { connection: 'close' };
  for (const [index, { id }] of made.entries()) {
    for (let i = 0; i < 3; i += 1) {
      const response = await fetch(`${shared.url}/v1/files/${id}/content`, { headers });
      expect(toHash(await response.bytes())).toBe(toHash(contents[index] ?? new Uint8Array()));
    }
    expect((await shared.call('DELETE', `/v1/files/${id}`, undefined, headers)).status).toBe(200);
    expect((await shared.call('GET', `/v1/files/${id}`, undefined, headers)).status).toBe(404);
  }
  expect(await countPieces(shared.dataDirectory)).toBe(0);
  expect(await countRecords(shared.dataDirectory, 'loose_blobs')).toBe(0);
  await shared.stop();
}, 60_000);
