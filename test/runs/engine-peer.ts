/** Another process at work on the same store: with a clock of its own, and a store that may fail it at any write. */

import type { Clock } from '../../src/clock.ts';
import type { Ports } from '../../src/ports.ts';
import type { Embedders } from '../../src/providers/embeddings/embeddings.ts';
import { createLeaseWatch } from '../../src/runs/lease-watch.ts';
import { sweepRuns } from '../../src/runs/recovery.ts';
import { createRunEngine, type RunEngine } from '../../src/runs/run-engine.ts';
import type { HeaderKeeper } from '../../src/runs/run-headers.ts';
import type { RunRecord } from '../../src/runs/run-records.ts';
import { submitToolOutputs } from '../../src/services/runs.ts';
import { type Store, StoreError } from '../../src/store/store.ts';
import { waitUntil } from '../support/server.ts';
import { CALLER, insertRun, type Question } from './engine-fixture.ts';

export interface PeerOptions {
  /** As in leases: `host/pid/nonce`. */
  readonly owner: string;
  readonly clock?: Clock;
  /** The process ids of this host that are in use; absent: none. */
  readonly isProcessAlive?: (pid: number) => boolean;
  /** The store fails for good after so many writes, each of a list counted by itself, as an engine without transactions does. */
  readonly writesMax?: number;
}

export interface EnginePeer {
  readonly runs: RunEngine;
  /** Begins a run, and answers it as it was written. */
  begin(model: string, question?: Question): Promise<RunRecord>;
  /** Answers all calls of a run. */
  submit(run: RunRecord, output: string): Promise<void>;
  /** One sweep; what earlier ones have seen counts. */
  sweep(): Promise<number>;
  /** Waits until the process works on nothing. */
  settle(run: RunRecord): Promise<void>;
}

export interface PeerParts {
  readonly ports: Pick<Ports, 'store' | 'clock' | 'ids' | 'log'>;
  readonly router: Ports['router'];
  readonly headerKeeper: HeaderKeeper;
  readonly embedders: Embedders;
  readonly expiresMs: number;
}

export function createPeer(parts: PeerParts, options: PeerOptions): EnginePeer {
  const { ids, log } = parts.ports;
  const { router, headerKeeper, embedders, expiresMs } = parts;
  const { owner, clock = parts.ports.clock, isProcessAlive = () => false } = options;
  const { writesMax } = options;
  const store = writesMax === undefined ? parts.ports.store : toMortalStore(parts.ports.store, writesMax);
  const ports = { store, clock, ids, log };
  const runs = createRunEngine(ports, { owner, settings: { expiresMs }, serverTools: [] });
  const watch = createLeaseWatch();
  return {
    runs,
    async begin(model, question = {}) {
      const record = await insertRun({ ...parts.ports, clock }, owner, model, question);
      runs.start({
        tenant: CALLER.scope.tenant,
        run: { record, version: 1 },
        resolveModel: () => router.resolve(model, {}),
        requestId: CALLER.requestId,
        headers: {},
        isContinued: false,
        opening: [],
        isStreamed: false,
      });
      return record;
    },
    async submit(run, output) {
      const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
      const body = { tool_outputs: calls.map(({ id }) => ({ tool_call_id: id, output })) };
      const deps = { store, clock, router, runs, headerKeeper, embedders };
      await submitToolOutputs(deps, CALLER, run.thread_id, run.id, body);
    },
    sweep: () => sweepRuns({ ...ports, router, runs, headerKeeper, isProcessAlive }, watch),
    settle: ({ id }) => waitUntil(`${owner} has stopped`, () => !runs.isWorkingOn(CALLER.scope.tenant, id)),
  };
}

/** Writes lists one by one, as an engine does that promises no more than their order, and dies amid them. */
function toMortalStore(store: Store, writesMax: number): Store {
  let left = writesMax;
  const spend = (): void => {
    if (left <= 0) throw new StoreError('unavailable', 'the process is dead');
    left -= 1;
  };
  return {
    ...store,
    engine: store.engine,
    get: (collection, scope, id) => store.get(collection, scope, id),
    list: (collection, scope, page, where) => store.list(collection, scope, page, where),
    async write(writes) {
      const versions: number[] = [];
      for (const [index, write] of writes.entries()) {
        spend();
        try {
          versions.push(...(await store.write([write])));
        } catch (error) {
          throw error instanceof StoreError ? new StoreError(error.code, error.message, { index }) : error;
        }
      }
      return versions;
    },
  };
}
