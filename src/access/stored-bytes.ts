/**
 * Counts what the files of each project have in all, in one record each, which changes by compare-and-set. Whoever adds or removes
 * something holds the record first, with the room that it takes; so what a crash leaves is seen, and counted anew from the files.
 */

import type { Clock } from '../clock.ts';
import { ApiError } from '../errors.ts';
import { type Log, toLogFields } from '../log.ts';
import { isDeadOwner } from '../runs/leases.ts';
import { createSerial } from '../serial.ts';
import type { StoredBytes, StoredBytesChange } from '../services/stored-bytes.ts';
import { PAGE_LIMIT_MAX, type Store, type StoredRecord, StoreError, type Versioned } from '../store/store.ts';
import { countStoredBytes } from './count-stored-bytes.ts';
import { ACCESS_SCOPE, OPEN_PROJECT, OPEN_TENANT, type ProjectRecord, toProjectId } from './key-records.ts';

/** Kept under the tenant's name. */
export interface UsageRecord extends StoredRecord {
  /** Of all that is stored. */
  readonly bytes: number;
  /** What the processes of this name are at work on. */
  readonly holds: Readonly<Record<string, UsageHold>>;
  /** When it was last counted from the files, in milliseconds since the epoch. */
  readonly counted_ms: number;
}

interface UsageHold {
  readonly changes: number;
  /** Room that is taken, and may not be used yet. */
  readonly bytes: number;
  /** After it, whoever it was is gone. */
  readonly until_ms: number;
}

export interface ProjectBytes extends StoredBytes {
  /** Counts anew what processes that are gone have left in doubt, and once what was there when this one started. */
  recount(): Promise<void>;
}

export interface ProjectBytesDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** The name of this process, as in leases. */
  readonly owner: string;
  readonly isProcessAlive: (pid: number) => boolean;
}

/** Others may change the record at the same moment: each round, one of them does. */
const ATTEMPTS_MAX = 100;
const ATTEMPT_PAUSE_MS = 20;
/** An upload that takes longer may be counted twice, or not at all, until the next start. */
const HOLD_MS = 6 * 60 * 60_000;
/** Room is taken in steps of so much where nobody says how much comes. */
const STEP_BYTES = 4 * 1024 * 1024;
/** Of several processes that start together one counts. */
const COUNTED_MS = 60_000;
/** Projects that one recount looks at: a hundred thousand. */
const PAGES_MAX = 100;
export const RECOUNT_SWEEP_MS = 60_000;

export function createProjectBytes(deps: ProjectBytesDeps): ProjectBytes {
  const { store, clock, owner } = deps;
  const serial = createSerial();
  /** Those whose count was looked at since the start. */
  const looked = new Set<string>();

  const read = async (tenant: string): Promise<Versioned<UsageRecord>> => {
    const found = await store.get<UsageRecord>('usages', ACCESS_SCOPE, tenant);
    return found ?? (await countFirst(deps, tenant));
  };

  /** Errors: those of `toChange`; `StoreError`. */
  const change = (tenant: string, toChange: (usage: UsageRecord) => Promise<Partial<UsageRecord>>) =>
    serial.run(tenant, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
        const { record, version } = await read(tenant);
        const values = await toChange(record);
        const isDone = await isWritten(
          store.update<UsageRecord>('usages', ACCESS_SCOPE, tenant, values, { ifVersion: version }),
        );
        if (isDone) return;
        await Bun.sleep(Math.random() * ATTEMPT_PAUSE_MS);
      }
      throw new StoreError('conflict', 'Too many others change what is stored at the same time.');
    });

  const toHolds = (usage: UsageRecord, changes: number, bytes: number): UsageRecord['holds'] => {
    const { [owner]: own = { changes: 0, bytes: 0 }, ...others } = usage.holds;
    const left = own.changes + changes;
    if (left <= 0) return others;
    const room = Math.max(0, own.bytes + bytes);
    return { ...others, [owner]: { changes: left, bytes: room, until_ms: clock.nowMs() + HOLD_MS } };
  };

  /** Takes more room, and one more change where it begins. Errors: 429. */
  const take = async (tenant: string, changes: number, bytes: number): Promise<void> => {
    const limit = bytes === 0 ? null : await readLimit(store, tenant);
    await change(tenant, async (usage) => {
      const used = toUsed(usage, deps);
      if (limit !== null && used + bytes > limit.bytes) throw createNoRoom(limit, used, bytes);
      return { holds: toHolds(usage, changes, bytes) };
    });
  };

  return {
    async begin(tenant, bytes) {
      await take(tenant, 1, bytes);
      return toChange(tenant, bytes);
    },
    async recount() {
      for (const usage of await listUsages(store)) {
        const isDoubtful = Object.entries(usage.holds).some(([name, hold]) => isGone(name, hold, deps));
        const isOld = !looked.has(usage.id) && clock.nowMs() - usage.counted_ms > COUNTED_MS;
        if ((isDoubtful || isOld) && !(await countAgain(deps, usage.id))) continue;
        looked.add(usage.id);
      }
    },
  };

  function toChange(tenant: string, given: number): StoredBytesChange {
    let room = given;
    let isOver = false;
    return {
      async ensure(bytes) {
        const missing = bytes - room;
        if (missing <= 0) return;
        const step = Math.max(missing, STEP_BYTES);
        // Where there is no room for a whole step there may be for what is needed.
        const taken = await take(tenant, 0, step).then(
          () => step,
          async (error: unknown) => {
            if (!(error instanceof ApiError) || step === missing) throw error;
            await take(tenant, 0, missing);
            return missing;
          },
        );
        room += taken;
      },
      async end(added) {
        if (isOver) return;
        isOver = true;
        try {
          await change(tenant, async (usage) => ({
            bytes: Math.max(0, usage.bytes + added),
            holds: toHolds(usage, -1, -room),
          }));
        } catch (error) {
          // The hold stays, until this process is gone and everything is counted anew.
          deps.log.warn('stored bytes not counted', { tenant, ...toLogFields(error) });
        }
      },
    };
  }
}

async function isWritten(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found'))
      return false;
    throw error;
  }
}

type OwnerDeps = Pick<ProjectBytesDeps, 'clock' | 'owner' | 'isProcessAlive'>;

function isGone(name: string, hold: UsageHold, { clock, owner, isProcessAlive }: OwnerDeps): boolean {
  if (name === owner) return false;
  return hold.until_ms <= clock.nowMs() || isDeadOwner(name, owner, isProcessAlive);
}

function toUsed({ bytes, holds }: UsageRecord, deps: OwnerDeps): number {
  const held = Object.entries(holds).filter(([name, hold]) => !isGone(name, hold, deps));
  return held.reduce((sum, [, hold]) => sum + hold.bytes, bytes);
}

// ——— Limits ———

interface BytesLimit {
  readonly project: string;
  readonly bytes: number;
}

/** Null: none. */
async function readLimit(store: Store, tenant: string): Promise<BytesLimit | null> {
  const id = tenant === OPEN_TENANT ? toProjectId(OPEN_PROJECT) : tenant;
  const found = await store.get<ProjectRecord>('projects', ACCESS_SCOPE, id);
  const bytes = found?.record.limits.stored_bytes ?? null;
  return found === null || bytes === null ? null : { project: found.record.name, bytes };
}

function createNoRoom({ project, bytes: limit }: BytesLimit, used: number, bytes: number): ApiError {
  return new ApiError(
    'insufficient_quota',
    `You exceeded your current quota: the files of project '${project}' may have ${limit} bytes in all, ${used} are in use, and this needs ${bytes} more. Delete files, or ask the operator of this server.`,
  );
}

// ——— Counting ———

async function countFirst(deps: ProjectBytesDeps, tenant: string): Promise<Versioned<UsageRecord>> {
  const bytes = await countStoredBytes(deps.store, tenant);
  const record: UsageRecord = { id: tenant, bytes, holds: {}, counted_ms: deps.clock.nowMs() };
  try {
    return await deps.store.insert('usages', ACCESS_SCOPE, record);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    const made = await deps.store.get<UsageRecord>('usages', ACCESS_SCOPE, tenant);
    if (made === null) throw error;
    return made;
  }
}

/** False where something is being changed: then it cannot be counted now. */
async function countAgain(deps: ProjectBytesDeps, tenant: string): Promise<boolean> {
  const found = await deps.store.get<UsageRecord>('usages', ACCESS_SCOPE, tenant);
  if (found === null) return true;
  const { record, version } = found;
  if (Object.entries(record.holds).some(([name, hold]) => !isGone(name, hold, deps))) return false;
  const bytes = await countStoredBytes(deps.store, tenant);
  const values = { bytes, holds: {}, counted_ms: deps.clock.nowMs() };
  // Whatever was changed while the files were counted has changed the version.
  return await isWritten(
    deps.store.update<UsageRecord>('usages', ACCESS_SCOPE, tenant, values, { ifVersion: version }),
  );
}

async function listUsages(store: Store): Promise<UsageRecord[]> {
  const usages: UsageRecord[] = [];
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const found = await store.list<UsageRecord>('usages', ACCESS_SCOPE, {
      limit: PAGE_LIMIT_MAX,
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    });
    usages.push(...found.items.map(({ record }) => record));
    after = found.items.at(-1)?.record.id;
    if (!found.hasMore || after === undefined) break;
  }
  return usages;
}
