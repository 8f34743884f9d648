/** Vector stores end some days after their last use: by a clock of the test's own. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import { createHeaderSealer } from '../../src/retrieval/header-sealer.ts';
import { createSearch } from '../../src/retrieval/search-stores.ts';
import { toVectorStore } from '../../src/retrieval/vector-store-records.ts';
import { createSerial } from '../../src/serial.ts';
import type { Caller } from '../../src/services/caller.ts';
import { sweepExpirations } from '../../src/services/expirations.ts';
import { getVectorStore, type VectorStoreDeps } from '../../src/services/vector-store-access.ts';
import { createVectorStoreFile } from '../../src/services/vector-store-files.ts';
import { createVectorStore, expireVectorStore, modifyVectorStore } from '../../src/services/vector-stores.ts';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { createAnalyser } from '../../src/vector/analyser.ts';
import { createExactVectorIndex } from '../support/exact-vector-index.ts';

const DAY_MS = 86_400_000;
const SCOPE = { tenant: 'test' };
const CALLER: Caller = { scope: SCOPE, headers: {}, requestId: 'req_test' };

let directory: string;
let nowMs: number;
let deps: VectorStoreDeps;
let close: () => Promise<void>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-expiry-'));
  nowMs = 1_800_000_000_000;
  const clock: Clock = { nowMs: () => nowMs };
  const store = await createSqliteStore({ directory, clock });
  const index = createExactVectorIndex();
  deps = {
    store,
    clock,
    index,
    ids: createIds(clock),
    log: createLog('silent', () => undefined),
    serial: createSerial(),
    sealer: createHeaderSealer(null),
    embedders: {
      choose: () => null,
      readNamed: () => null,
      resolve() {
        throw new Error('no store here has a model');
      },
    },
    // Nobody reads files here: they stay as they were added.
    ingests: {
      owner: 'test/1/a',
      leaseMs: 60_000,
      start: () => undefined,
      warm: () => undefined,
      isWorkingOn: () => false,
      stop: async () => undefined,
      getLoad: () => ({ waiting: 0, active: 0 }),
      close: async () => undefined,
    },
  };
  close = async () => {
    await store.close();
    await index.close();
    await rm(directory, { recursive: true, force: true });
  };
});

afterEach(() => close());

async function create() {
  return await createVectorStore(deps, CALLER, { expires_after: { anchor: 'last_active_at', days: 2 } });
}

async function show(id: string) {
  return toVectorStore((await getVectorStore(deps, SCOPE, id)).record, deps.clock);
}

function search(id: string) {
  const caller = { ...CALLER, signal: new AbortController().signal };
  const request = { queries: ['word'], resultsMax: 10, filter: null, scoreThreshold: 0, weights: null };
  return createSearch({ ...deps, analyser: createAnalyser() }).search(caller, [id], request);
}

/** One look at what is due. */
function sweep(): Promise<number> {
  const none = async () => null;
  return sweepExpirations(deps, {
    file: none,
    upload: none,
    vector_store: (tenant, id) => expireVectorStore(deps, tenant, id),
  });
}

async function addText(storeId: string, fileId: string): Promise<void> {
  const index = { tenant: SCOPE.tenant, store: storeId };
  const chunk = { position: 0, text: 'word', start: 0, end: 4, page: null, context: '', tokens: 1 };
  await deps.index.stageChunks(index, fileId, 'a', [{ ...chunk, terms: '1\nword\t1', vector: null }]);
  await deps.index.publishFile(index, { file: fileId, attributes: {}, languages: [] }, 'a');
}

describe('a vector store with expires_after', () => {
  test('is there until its time, and each use puts it off', async () => {
    const { id, expires_at: expiresAt } = await create();
    expect(expiresAt).toBe((nowMs + 2 * DAY_MS) / 1000);
    nowMs += 1.5 * DAY_MS;
    await search(id);
    expect(await show(id)).toMatchObject({
      status: 'completed',
      last_active_at: nowMs / 1000,
      expires_at: (nowMs + 2 * DAY_MS) / 1000,
    });
    nowMs += DAY_MS;
    expect((await show(id)).status).toBe('completed');
    nowMs += 1.5 * DAY_MS;
    expect((await show(id)).status).toBe('expired');
  });

  test('that was used meanwhile is due again at its new time, and keeps what it holds', async () => {
    const { id } = await create();
    await addText(id, 'file-a');
    nowMs += DAY_MS;
    await search(id);
    nowMs += 1.5 * DAY_MS;
    await sweep();
    expect((await deps.index.describe({ tenant: 'test', store: id })).chunks).toBe(1);
    nowMs += DAY_MS;
    await sweep();
    expect((await deps.index.describe({ tenant: 'test', store: id })).chunks).toBe(0);
  });

  test('that has expired is shown as such with its files, and can be neither searched nor used', async () => {
    const { id } = await create();
    const internal = { parts: [], content_type: null };
    await deps.store.insert('files', SCOPE, { id: 'file-a', filename: 'a.txt', bytes: 4, internal });
    await createVectorStoreFile(deps, CALLER, id, { file_id: 'file-a' });
    await addText(id, 'file-a');
    nowMs += 3 * DAY_MS;
    await sweep();
    expect(await show(id)).toMatchObject({
      status: 'expired',
      file_counts: { in_progress: 0, cancelled: 1, total: 1 },
    });
    for (const use of [
      () => search(id),
      () => createVectorStoreFile(deps, CALLER, id, { file_id: 'file-a' }),
      () => modifyVectorStore(deps, SCOPE, id, { expires_after: { anchor: 'last_active_at', days: 9 } }),
    ]) {
      const error = await use().catch((caught: unknown) => caught);
      expect(error).toMatchObject({ name: 'ApiError', code: 'invalid_request' });
    }
    expect((await modifyVectorStore(deps, SCOPE, id, { name: 'still listed' })).name).toBe('still listed');
  });

  test('whose time is changed, or taken away, ends at the new one, or never', async () => {
    const [longer, forever] = [await create(), await create()];
    await modifyVectorStore(deps, SCOPE, longer.id, { expires_after: { anchor: 'last_active_at', days: 9 } });
    await modifyVectorStore(deps, SCOPE, forever.id, { expires_after: null });
    nowMs += 3 * DAY_MS;
    await sweep();
    expect((await show(longer.id)).status).toBe('completed');
    expect(await show(forever.id)).toMatchObject({ status: 'completed', expires_at: null });
    nowMs += 7 * DAY_MS;
    expect((await show(longer.id)).status).toBe('expired');
    expect((await show(forever.id)).status).toBe('completed');
  });
});
