/** Forms, whatever their bytes look like and however they are cut on their way. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '../../src/clock.ts';
import { ApiError } from '../../src/errors.ts';
import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import { type ReceivedForm, receiveForm } from '../../src/routes/multipart.ts';
import { type BlobDrafts, createBlobDrafts } from '../../src/services/blob-drafts.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { PIECES_IN_FLIGHT_MAX, readBlobs } from '../../src/store/blobs.ts';
import type { Store } from '../../src/store/store.ts';
import { makeBytes } from '../contract/blob-store.ts';
import { openSqliteBlobStore } from '../store/blob-directory.ts';
import { openSqliteStore } from '../store/sqlite-directory.ts';
import {
  BOUNDARY,
  FORM_END,
  FORM_TYPE,
  type FormPart,
  toField,
  toFilePart,
  toFormBytes,
  toOpenForm,
  toPortions,
} from '../support/forms.ts';

const TENANT = 't';
let held = 0;
const holdOpen = () => {
  held += 1;
  return () => {
    held -= 1;
  };
};
const ids = createIds(systemClock);
let blobs: BlobStore;
let store: Store;
let drafts: BlobDrafts;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const [openedBlobs, openedStore] = await Promise.all([openSqliteBlobStore(), openSqliteStore()]);
  closers.push(openedBlobs.close, openedStore.close);
  ({ blobs } = openedBlobs);
  ({ store } = openedStore);
  drafts = createBlobDrafts({
    store,
    blobs,
    clock: systemClock,
    log: createLog('silent', () => undefined),
    owner: 'host/1/nonce',
    isProcessAlive: () => true,
    detachFile: async () => undefined,
  });
});
afterAll(async () => {
  for (const close of closers) await close();
});

interface Received extends ReceivedForm {
  readonly bytes: Uint8Array;
}

async function receive(
  body: Uint8Array | ReadableStream<Uint8Array>,
  options: { bytesMax?: number; type?: string } = {},
): Promise<Received> {
  const request = new Request('http://127.0.0.1/v1/files', {
    method: 'POST',
    headers: { 'content-type': options.type ?? FORM_TYPE },
    body: body instanceof Uint8Array ? toPortions(body, 65_536) : body,
  });
  const blob = ids.create('file');
  const form = { tenant: TENANT, blob, fileField: 'file', fileBytesMax: options.bytesMax ?? 10_000_000 };
  const received = await receiveForm({ drafts, holdOpen }, request, form, async (given, draft) => {
    await draft.writer.finish();
    const parts = [{ blob, bytes: draft.writer.bytes }];
    const bytes = await new Response(readBlobs(blobs, TENANT, parts)).bytes();
    await store.write(draft.toKeepWrites());
    draft.keep();
    return { ...given, bytes };
  });
  return received;
}

async function refuse(...args: Parameters<typeof receive>): Promise<ApiError> {
  const error = await receive(...args).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw new Error(`Expected a refusal, got ${String(error)}.`);
  return error;
}

async function countNotes(): Promise<number> {
  const page = await store.list('loose_blobs', { tenant: '$system' }, { limit: 100, order: 'asc' });
  return page.items.length;
}

const CONTENT = `a\r\n--${BOUNDARY.slice(0, -1)}\r\n--\r\n\r\n-${BOUNDARY}\n\r\r\n`;
const FORM: readonly FormPart[] = [
  toField('purpose', 'assistants'),
  toFilePart('file', 'filename="ü.txt"', CONTENT),
  toField('expires_after[anchor]', 'created_at'),
  toField('expires_after[seconds]', '3600'),
];
const BODY = { purpose: 'assistants', expires_after: { anchor: 'created_at', seconds: 3600 }, file: 'bytes' };

describe('a form', () => {
  test('is the same wherever the connection cuts it in two', async () => {
    const bytes = toFormBytes(FORM);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(bytes.slice(0, cut));
          controller.enqueue(bytes.slice(cut));
          controller.close();
        },
      });
      const { body, file, bytes: content } = await receive(stream);
      expect([cut, Buffer.from(content).toString(), file.filename, body]).toEqual([
        cut,
        CONTENT,
        'ü.txt',
        BODY,
      ]);
    }
  }, 60_000);

  for (const portion of [1, 2, 3, 7, 64]) {
    test(`is the same in portions of ${portion} bytes`, async () => {
      const { body, file, bytes } = await receive(toPortions(toFormBytes(FORM), portion));
      expect([Buffer.from(bytes).toString(), file.filename, body]).toEqual([CONTENT, 'ü.txt', BODY]);
    });
  }

  test('may hold its fields in any order, and fields and files that nobody knows', async () => {
    const strange = [toField('model', 'x'), toFilePart('other', 'filename="b"', makeBytes(300_000, 1))];
    for (const parts of [[...FORM].reverse(), [...strange, ...FORM], [...FORM, ...strange]]) {
      const { body, bytes } = await receive(toFormBytes(parts));
      expect(Buffer.from(bytes).toString()).toBe(CONTENT);
      expect(body).toMatchObject(BODY);
    }
  });

  test('may have text before its first boundary and behind its last', async () => {
    const bytes = Buffer.concat([Buffer.from('preamble\r\n'), toFormBytes(FORM), Buffer.from('epilogue')]);
    for (const portion of [1, 50, 10_000]) {
      const { body } = await receive(toPortions(bytes, portion));
      expect(body).toEqual(BODY);
    }
  });

  test('holds any bytes: those of a large file come out as they went in, whatever the portions', async () => {
    const content = makeBytes(3_000_001, 5);
    const form = toFormBytes([toFilePart('file', 'filename="big"', content), toField('purpose', 'vision')]);
    for (const portion of [4096, 100_003, 1_000_000, form.length]) {
      const { bytes } = await receive(toPortions(form, portion));
      expect(Bun.deepEquals(bytes, content)).toBe(true);
    }
  });

  test('may name its boundary in quotes', async () => {
    const type = `multipart/form-data; charset=utf-8; boundary="${BOUNDARY}"`;
    expect((await receive(toFormBytes(FORM), { type })).body).toEqual(BODY);
  });
});

/** Header lines go out as UTF-8. */
const NAMES: readonly (readonly [disposition: string, name: string])[] = [
  ['filename="plain.txt"', 'plain.txt'],
  ['filename=plain.txt', 'plain.txt'],
  ['filename="Bericht März 2026 – 日本語 🎉.pdf"', 'Bericht März 2026 – 日本語 🎉.pdf'],
  ['filename="e\u0301.txt"', 'e\u0301.txt'],
  ['filename="a%22quoted%22.txt"', 'a"quoted".txt'],
  ['filename="a\\"quoted\\".txt"', 'a"quoted".txt'],
  ['filename="50%25 off %2F.txt"', '50%25 off %2F.txt'],
  ['filename="semi;colon.txt"', 'semi;colon.txt'],
  ['filename="/etc/../passwd"', 'passwd'],
  ['filename="C:\\Users\\me\\report.docx"', 'report.docx'],
  ['filename="../.."', ''],
  ["filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", 'naïve €.txt'],
  ["filename*=iso-8859-1'de'f%FCr.txt", 'für.txt'],
  // As .NET writes it.
  [`filename="=?utf-8?B?w7xiZXIudHh0?="; filename*=utf-8''%C3%BCber.txt`, 'über.txt'],
  ['filename="=?UTF-8?B?w7xiZXIudHh0?="', 'über.txt'],
  ['filename="=?utf-8?Q?=C3=BCber_uns.txt?="', 'über uns.txt'],
  ['filename="=?iso-8859-1?Q?=FCber.txt?="', 'über.txt'],
  ['filename="=?nonsense?B?AAAA?="', '=?nonsense?B?AAAA?='],
];

describe("a file's name", () => {
  for (const [disposition, name] of NAMES) {
    test(`${disposition} is ${JSON.stringify(name)}`, async () => {
      const { file } = await receive(toFormBytes([toFilePart('file', disposition, 'x')]));
      expect(file.filename).toBe(name);
    });
  }

  test('as Bun itself writes it into a form comes back as it was', async () => {
    for (const name of ['a"b.txt', 'ü – 日本.txt', "it's.txt", 'a;b=c.txt', '100%.txt']) {
      const form = new FormData();
      form.append('file', new File(['x'], name));
      const response = new Response(form);
      const type = response.headers.get('content-type') ?? '';
      const { file } = await receive(new Uint8Array(await response.arrayBuffer()), { type });
      expect(file.filename).toBe(name);
    }
  });
});

describe('a form that is refused', () => {
  const file = toFilePart('file', 'filename="a.txt"', 'hello');

  test('leaves nothing behind', async () => {
    const whole = toFormBytes([toFilePart('file', 'filename="a"', makeBytes(700_000, 1))]);
    for (const length of [1, 50, 150, 300_000, whole.length - 5]) {
      const error = await refuse(whole.slice(0, length));
      expect([error.status, error.code]).toEqual([400, 'invalid_request']);
    }
    expect(await countNotes()).toBe(0);
  });

  test('has no file', async () => {
    for (const parts of [
      [],
      [toField('purpose', 'assistants')],
      [toFilePart('other', 'filename="a"', 'x')],
    ]) {
      const error = await refuse(toFormBytes(parts));
      expect([error.code, error.param]).toEqual(['missing_required_parameter', 'file']);
    }
    const empty = await refuse(new Uint8Array());
    expect(empty.status).toBe(400);
  });

  test('has a text where the file belongs', async () => {
    const error = await refuse(toFormBytes([toField('file', 'hello')]));
    expect([error.code, error.param]).toEqual(['invalid_type', 'file']);
  });

  test('has two files', async () => {
    const error = await refuse(toFormBytes([file, file]));
    expect([error.code, error.param]).toEqual(['invalid_value', 'file']);
  });

  test('names no boundary, or another one, or is no form', async () => {
    expect((await refuse(toFormBytes([file]), { type: 'multipart/form-data' })).status).toBe(400);
    expect((await refuse(toFormBytes([file]), { type: 'multipart/form-data; boundary=other' })).status).toBe(
      400,
    );
    expect((await refuse(toFormBytes([file]), { type: 'application/json' })).status).toBe(415);
    expect((await refuse(toFormBytes([file]), { type: '' })).status).toBe(415);
  });

  test('has a part without a name, or with headers that are none', async () => {
    const broken: readonly (readonly string[])[] = [
      ['Content-Disposition: form-data; filename="a"'],
      ['Content-Disposition: attachment; name="file"; filename="a"'],
      ['no header at all'],
    ];
    for (const headers of broken) {
      const error = await refuse(toFormBytes([{ headers, content: 'x' }]));
      expect(error.status).toBe(400);
    }
  });

  test('has more fields, or longer ones, than anybody needs', async () => {
    const many = Array.from({ length: 100 }, (_, i) => toField(`f${i}`, 'x'));
    expect((await refuse(toFormBytes([...many, file]))).status).toBe(400);
    const long = await refuse(toFormBytes([toField('purpose', 'x'.repeat(100_000)), file]));
    expect([long.status, long.param]).toEqual([400, 'purpose']);
  });

  test('has a file that is too large, by one byte, and is read no further than that', async () => {
    const exact = toFormBytes([toFilePart('file', 'filename="a"', makeBytes(1_000_000, 1))]);
    expect((await receive(exact, { bytesMax: 1_000_000 })).bytes.length).toBe(1_000_000);
    const error = await refuse(exact, { bytesMax: 999_999 });
    expect(error.status).toBe(413);
    let pulled = 0;
    const head = toOpenForm([toFilePart('file', 'filename="a"', '')]);
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(pulled === 0 ? head : new Uint8Array(65_536));
        pulled += 1;
      },
    });
    expect((await refuse(endless, { bytesMax: 1_000_000 })).status).toBe(413);
    expect(pulled).toBeLessThan(25);
  });

  test('fills the connection with what is no file: that has a bound, too', async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(1_000_000));
        pulled += 1;
      },
    });
    expect((await refuse(endless, { bytesMax: 1_000_000 })).status).toBe(413);
    expect(pulled).toBeLessThan(10);
  });

  test('comes from a client that goes away', async () => {
    let pulled = 0;
    const whole = toFormBytes([toFilePart('file', 'filename="a"', makeBytes(900_000, 1))]);
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulled === 8) controller.error(new Error('reset'));
        else controller.enqueue(whole.slice(pulled * 100_000, (pulled + 1) * 100_000));
        pulled += 1;
      },
    });
    expect((await refuse(broken)).status).toBe(400);
    expect(await countNotes()).toBe(0);
    expect(held).toBe(0);
  });
});

test('the next bytes are asked for only when the store has taken those before', async () => {
  let put = 0;
  let pulled = 0;
  let furthestAhead = 0;
  const slow: BlobStore = {
    ...blobs,
    async putPiece(...place) {
      await Bun.sleep(2);
      await blobs.putPiece(...place);
      put += 1;
    },
  };
  const slowDrafts = createBlobDrafts({
    store,
    blobs: slow,
    clock: systemClock,
    log: createLog('silent', () => undefined),
    owner: 'host/1/nonce',
    isProcessAlive: () => true,
    detachFile: async () => undefined,
  });
  const head = toOpenForm([toFilePart('file', 'filename="a"', '')]);
  const pieces = 64;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (pulled === 0) controller.enqueue(head);
        else if (pulled <= pieces) controller.enqueue(new Uint8Array(256 * 1024));
        else {
          controller.enqueue(Buffer.from(FORM_END));
          controller.close();
        }
        furthestAhead = Math.max(furthestAhead, pulled - put);
        pulled += 1;
      },
    },
    { highWaterMark: 0 },
  );
  const request = new Request('http://127.0.0.1/', {
    method: 'POST',
    headers: { 'content-type': FORM_TYPE },
    body,
  });
  const form = { tenant: TENANT, blob: ids.create('file'), fileField: 'file', fileBytesMax: 1e9 };
  await receiveForm({ drafts: slowDrafts, holdOpen }, request, form, async (_, draft) => {
    await draft.writer.finish();
    await draft.discard();
  });
  expect(pulled).toBeGreaterThan(pieces);
  expect(furthestAhead).toBeLessThan(PIECES_IN_FLIGHT_MAX + 6);
});
