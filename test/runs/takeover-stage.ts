/** Processes on one store, whose runs are taken over: what the cases of `takeover.test.ts` are played on. */

import { expect } from 'bun:test';
import type { Clock } from '../../src/clock.ts';
import { LEASE_SCOPE } from '../../src/runs/leases.ts';
import type { LeaseRecord, RunRecord, StepRecord } from '../../src/runs/run-records.ts';
import { isTerminal } from '../../src/runs/run-state.ts';
import type { MessageObject } from '../../src/schemas/generated/messages.ts';
import type { Versioned } from '../../src/store/store.ts';
import { waitUntil } from '../support/server.ts';
import type { Step } from '../support/upstream-steps.ts';
import { type EngineFixture, type EngineOptions, startEngineFixture, TENANT } from './engine-fixture.ts';
import type { EnginePeer } from './engine-peer.ts';

const PAGE = { limit: 100, order: 'asc' } as const;

export class TakeoverStage {
  #fixture: EngineFixture | null = null;
  #peerCount = 0;

  async start(openStore: NonNullable<EngineOptions['openStore']>): Promise<void> {
    this.#fixture = await startEngineFixture({ openStore });
  }

  async stop(): Promise<void> {
    await this.#fixture?.stop();
  }

  get fixture(): EngineFixture {
    if (this.#fixture === null) throw new Error('the stage is not there yet');
    return this.#fixture;
  }

  /** A process on a host of its own. */
  join(options: { clock?: Clock; writesMax?: number } = {}): EnginePeer {
    this.#peerCount += 1;
    return this.fixture.join({ owner: `host-${this.#peerCount}/1/nonce`, ...options });
  }

  /** A model whose first answer is `first`; later ones are `later`. */
  script(name: string, first: readonly Step[], ...later: readonly (readonly Step[])[]): string {
    let asked = 0;
    return this.fixture.upstream.scriptBy(name, () => {
      asked += 1;
      return asked === 1 ? [first] : later;
    });
  }

  readLease({ id }: RunRecord): Promise<Versioned<LeaseRecord> | null> {
    return this.fixture.store.get<LeaseRecord>('leases', LEASE_SCOPE, id);
  }

  async changeLease({ id }: RunRecord, untilMs: number): Promise<void> {
    await this.fixture.store.update<LeaseRecord>('leases', LEASE_SCOPE, id, { until_ms: untilMs });
  }

  async readMessages(run: RunRecord): Promise<MessageObject[]> {
    const scope = { tenant: TENANT, parent: run.thread_id };
    const page = await this.fixture.store.list<MessageObject>('messages', scope, PAGE);
    return page.items.map(({ record }) => record).filter(({ run_id: id }) => id === run.id);
  }

  async waitForMessage(run: RunRecord): Promise<void> {
    await waitUntil('its message is there', async () => (await this.readMessages(run)).length === 1);
  }

  /** Has another process take the run while the first one waits for its model. */
  async takeFrom(run: RunRecord): Promise<EnginePeer> {
    const other = this.join();
    await this.changeLease(run, 0);
    expect(await other.sweep()).toBe(1);
    return other;
  }

  /** Lets living processes bring the run of a dead one to its end. */
  async finish(run: RunRecord): Promise<void> {
    const { owner } = (await this.readLease(run))?.record ?? { owner: null };
    // What is nobody's is told at once by a process of the host on which the owner was.
    const successor =
      owner === null ? this.join() : this.fixture.join({ owner: owner.replace('nonce', 'successor') });
    await successor.sweep();
    await waitUntil('the run rests', async () => {
      const { status } = await this.fixture.readRun(run);
      if (status === 'requires_action') return (await this.readLease(run))?.record.owner === null;
      return isTerminal(status);
    });
    await successor.settle(run);
    const rested = await this.fixture.readRun(run);
    if (rested.status !== 'requires_action') return;
    const last = this.join();
    await last.submit(rested, '-3');
    await last.settle(run);
  }

  /** The run has ended with these answers; no part of it is open or twice, its thread is free, its lease is gone. */
  async expectOnce(
    run: RunRecord,
    texts: readonly string[],
    types: readonly StepRecord['type'][],
  ): Promise<void> {
    expect((await this.fixture.readRun(run)).status).toBe('completed');
    const [messages, stored] = await Promise.all([this.readMessages(run), this.fixture.readSteps(run)]);
    expect(toTexts(messages)).toEqual([...texts]);
    expect(stored.map(({ type }) => type)).toEqual([...types]);
    for (const { status } of [...messages, ...stored]) expect(status).toBe('completed');
    const scope = { tenant: TENANT };
    const thread = await this.fixture.store.get<{ id: string; active_run_id: string | null }>(
      'threads',
      scope,
      run.thread_id,
    );
    expect(thread?.record.active_run_id).toBeNull();
    expect(await this.readLease(run)).toBeNull();
  }
}

function toTexts(messages: readonly MessageObject[]): string[] {
  return messages.map(({ content: [part] }) => (part?.type === 'text' ? part.text.value : ''));
}

/** A clock that a test moves, beside the true one by `aheadMs`. */
export function createClock(aheadMs: number): Clock & { pass(ms: number): void } {
  let movedMs = aheadMs;
  return {
    nowMs: () => Date.now() + movedMs,
    pass(ms) {
      movedMs += ms;
    },
  };
}
