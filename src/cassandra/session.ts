/**
 * A connection to one keyspace, in the few forms in which the engines speak to it: reads, plain writes, conditional
 * writes. It says `unavailable` where the cluster does not answer, and tries again what may be tried again.
 */

import type { Client, types } from 'cassandra-driver';
import { StoreError } from '../store/store.ts';
import { isTransient, rethrow } from './errors.ts';

export type CqlValue =
  | string
  | number
  | boolean
  | null
  | Buffer
  | Float32Array
  | types.Long
  | Date
  | readonly string[]
  | readonly number[]
  | Readonly<Record<string, string>>
  /** Leaves a column as it is. */
  | undefined;

export interface CqlStatement {
  /** The text is prepared once: values are bound, never written into it. */
  readonly cql: string;
  readonly values: readonly CqlValue[];
}

/** Columns by their names. Big integers are `Long`. */
export type CqlRow = Readonly<Record<string, unknown>>;

export interface Applied {
  readonly isApplied: boolean;
  /** Where it was not applied: what stands there, null where nothing does. */
  readonly found: CqlRow | null;
}

/** Counts of calls of the cluster, which are what an operation costs. */
export interface SessionStatistics {
  readonly reads: number;
  readonly writes: number;
  /** Conditional writes: four rounds among the replicas each. */
  readonly conditional: number;
}

/**
 * Every method throws `StoreError` (`unavailable`) where the cluster does not answer; what else goes wrong is a fault of
 * ours and thrown as it is. Texts of statements are constants: each is prepared on every host.
 */
export interface CqlSession {
  readonly keyspace: string;
  /** All rows of a bounded query, at the configured consistency: sees every acknowledged write. */
  read(statement: CqlStatement): Promise<readonly CqlRow[]>;
  /** As `read`, and settles conditional writes whose outcome is open. */
  readSettled(statement: CqlStatement): Promise<readonly CqlRow[]>;
  /** The rows of a query that is larger than memory should hold, page by page. */
  readPages(statement: CqlStatement, pageRows: number): AsyncIterable<readonly CqlRow[]>;
  /** A plain write that may be made twice. */
  write(statement: CqlStatement): Promise<void>;
  /** Plain writes of one partition, all or none. */
  writeTogether(statements: readonly CqlStatement[]): Promise<void>;
  /**
   * A conditional write. Not tried again where its outcome is unknown: `UnknownOutcome` is thrown then, and the caller reads
   * (`readSettled`) what became of it.
   */
  apply(statement: CqlStatement): Promise<Applied>;
  /** Conditional writes of one partition, all or none. */
  applyTogether(statements: readonly CqlStatement[]): Promise<Applied>;
  /** A statement that changes the schema. */
  define(cql: string): Promise<void>;
  getStatistics(): SessionStatistics;
  /** Ends after the calls under way. Later calls reject with `unavailable`. Idempotent. */
  close(): Promise<void>;
}

/** Whether a conditional write was made is not known. */
export class UnknownOutcome extends StoreError {
  constructor(cause: unknown) {
    super('unavailable', 'The Cassandra cluster did not say whether it wrote.', { cause });
  }
}

/** Waits between tries of what may be tried again: a node that restarts its connection is back within these. */
const RETRY_WAITS_MS = Object.freeze([50, 200, 800]);
/** Definitions wait for every node of the cluster to agree. */
const DEFINE_TIMEOUT_MS = 60_000;

export interface SessionOptions {
  readonly keyspace: string;
  readonly consistency: number;
  /** Of what a conditional write compares: in the local data centre, unless writes reach beyond it. */
  readonly serialConsistency: number;
  /** Called behind the last call. */
  readonly onClosed?: () => void;
}

export function createSession(client: Client, options: SessionOptions): CqlSession {
  return new DriverSession(client, options);
}

class DriverSession implements CqlSession {
  readonly keyspace: string;
  private readonly counts = { reads: 0, writes: 0, conditional: 0 };
  private readonly pending = new Set<Promise<unknown>>();
  private closing: Promise<void> | null = null;

  constructor(
    private readonly client: Client,
    private readonly options: SessionOptions,
  ) {
    this.keyspace = options.keyspace;
  }

  async read(statement: CqlStatement): Promise<readonly CqlRow[]> {
    return await this.track(() => this.query(statement, this.options.consistency));
  }

  async readSettled(statement: CqlStatement): Promise<readonly CqlRow[]> {
    return await this.track(() => this.query(statement, this.options.serialConsistency));
  }

  async *readPages(statement: CqlStatement, pageRows: number): AsyncIterable<readonly CqlRow[]> {
    let pageState: string | undefined;
    do {
      const state = pageState;
      const result = await this.track(() =>
        this.retry(() => {
          this.counts.reads += 1;
          return this.client.execute(statement.cql, [...statement.values], {
            prepare: true,
            isIdempotent: true,
            consistency: this.options.consistency,
            fetchSize: pageRows,
            ...(state === undefined ? {} : { pageState: state }),
          });
        }),
      );
      yield toRows(result);
      pageState = result.pageState ?? undefined;
    } while (pageState !== undefined);
  }

  async write({ cql, values }: CqlStatement): Promise<void> {
    await this.track(() =>
      this.retry(() => {
        this.counts.writes += 1;
        return this.client.execute(cql, [...values], {
          prepare: true,
          isIdempotent: true,
          consistency: this.options.consistency,
        });
      }),
    );
  }

  async writeTogether(statements: readonly CqlStatement[]): Promise<void> {
    if (statements.length === 0) return;
    await this.track(() =>
      this.retry(() => {
        this.counts.writes += 1;
        return this.client.batch(toBatch(statements), {
          prepare: true,
          isIdempotent: true,
          logged: false,
          consistency: this.options.consistency,
        });
      }),
    );
  }

  async apply({ cql, values }: CqlStatement): Promise<Applied> {
    return await this.track(async () => {
      this.counts.conditional += 1;
      return toApplied(
        await this.client
          .execute(cql, [...values], { prepare: true, ...this.toConditionalOptions() })
          .catch(rethrowUnknown),
      );
    });
  }

  async applyTogether(statements: readonly CqlStatement[]): Promise<Applied> {
    return await this.track(async () => {
      this.counts.conditional += 1;
      return toApplied(
        await this.client
          .batch(toBatch(statements), { prepare: true, logged: true, ...this.toConditionalOptions() })
          .catch(rethrowUnknown),
      );
    });
  }

  async define(cql: string): Promise<void> {
    await this.track(() =>
      this.client.execute(cql, [], { prepare: false, isIdempotent: true, readTimeout: DEFINE_TIMEOUT_MS }),
    );
  }

  getStatistics(): SessionStatistics {
    return { ...this.counts };
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    await Promise.allSettled([...this.pending]);
    await this.client.shutdown();
    this.options.onClosed?.();
  }

  private toConditionalOptions() {
    const { consistency, serialConsistency } = this.options;
    return { isIdempotent: false, consistency, serialConsistency };
  }

  private async query({ cql, values }: CqlStatement, consistency: number): Promise<readonly CqlRow[]> {
    const result = await this.retry(() => {
      this.counts.reads += 1;
      return this.client.execute(cql, [...values], { prepare: true, isIdempotent: true, consistency });
    });
    if (result.pageState === null || result.pageState === undefined) return toRows(result);
    // The query was bounded by its caller to fewer rows than one page has.
    throw new Error(`A query answered more rows than one page holds: ${cql}`);
  }

  /** Keeps the client open for the call. */
  private async track<T>(call: () => Promise<T>): Promise<T> {
    if (this.closing !== null) throw new StoreError('unavailable', 'The store is closed.');
    const made = call().catch(rethrow);
    this.pending.add(made);
    try {
      return await made;
    } finally {
      this.pending.delete(made);
    }
  }

  private async retry<T>(call: () => Promise<T>): Promise<T> {
    for (const waitMs of RETRY_WAITS_MS) {
      try {
        return await call();
      } catch (error) {
        if (!isTransient(error)) throw error;
        await Bun.sleep(waitMs);
      }
    }
    return await call();
  }
}

function toBatch(statements: readonly CqlStatement[]): { query: string; params: unknown[] }[] {
  return statements.map(({ cql, values }) => ({ query: cql, params: [...values] }));
}

function toRows(result: types.ResultSet): readonly CqlRow[] {
  // Prepared writes answer no rows at all.
  return (result.rows ?? []) as unknown as CqlRow[];
}

/** A conditional write that the driver lost sight of may have been made, or may still be. */
function rethrowUnknown(error: unknown): never {
  if (isTransient(error)) throw new UnknownOutcome(error);
  throw error;
}

const APPLIED = '[applied]';

function toApplied(result: types.ResultSet): Applied {
  const row = toRows(result)[0];
  if (row === undefined) return { isApplied: true, found: null };
  if (row[APPLIED] === true) return { isApplied: true, found: null };
  // Only the outcome: there was no row to compare with.
  const hasMore = Object.keys(row).some((name) => name !== APPLIED && name !== '__columns');
  return { isApplied: false, found: hasMore ? row : null };
}
