/** Whose a run is when processes die, stop for a while, or have other clocks: one goes on with it, and only one writes. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { WATCH_STEP_MAX_MS } from '../../src/runs/lease-watch.ts';
import { LEASE_MS } from '../../src/runs/leases.ts';
import { SWEEP_MS } from '../../src/runs/recovery.ts';
import { LOOK_MS } from '../../src/runs/run-engine.ts';
import type { RunRecord } from '../../src/runs/run-records.ts';
import { openSqliteStore } from '../store/sqlite-directory.ts';
import { openCassandraStore } from '../support/cassandra/keyspace.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { toFunction } from './run-fixture.ts';
import { createClock, TakeoverStage } from './takeover-stage.ts';

const HOUR_MS = 3_600_000;
/** A cluster takes its time for hundreds of conditional writes. */
const TEST_MS = 120_000;
setDefaultTimeout(TEST_MS);
/** Of a store that does not fail, but writes lists one by one. */
const MANY = 1_000;

for (const [name, describeEngine, openStore] of [
  ['SQLite', describe, openSqliteStore],
  ['Cassandra', cassandraOrSkip('takeovers on Cassandra'), openCassandraStore],
] as const) {
  describeEngine(`on ${name}`, () => {
    const stage = new TakeoverStage();
    beforeAll(() => stage.start(openStore));
    afterAll(() => stage.stop());
    describeClocks(stage);
    describeStaleProcesses(stage);
    describeDrains(stage);
    describeDeaths(stage);
  });
}

function describeClocks(stage: TakeoverStage): void {
  describe.each([
    ['an hour ahead', HOUR_MS],
    ['the same', 0],
    ['an hour behind', -HOUR_MS],
  ])('a server on another host, its clock %s', (name, aheadMs) => {
    test('leaves a run alone as long as its lease is renewed, and takes it when that has stopped for a lease’s time', async () => {
      const model = stage.script(`clock ${name}`, [steps.say('Half'), steps.hang()], [steps.say('Whole')]);
      const owner = stage.join();
      const clock = createClock(aheadMs);
      const other = stage.join({ clock });
      const run = await owner.begin(model);
      await stage.waitForMessage(run);
      const sweepsPerLease = LEASE_MS / SWEEP_MS;
      for (let sweep = 0; sweep < 4 * sweepsPerLease; sweep += 1) {
        if (sweep % 3 === 0) {
          await stage.changeLease(run, Date.now() + LEASE_MS);
        }
        expect(await other.sweep()).toBe(0);
        clock.pass(SWEEP_MS);
      }
      // Nobody else renews it: the owner is as good as dead.
      let sweeps = 0;
      for (; (await other.sweep()) === 0 && sweeps < 2 * sweepsPerLease; sweeps += 1) clock.pass(SWEEP_MS);
      expect(sweeps).toBeGreaterThanOrEqual(sweepsPerLease - 3);
      expect(sweeps).toBeLessThanOrEqual(sweepsPerLease + 1);
      await other.settle(run);
      await stage.expectOnce(run, ['Whole'], ['message_creation']);
    });
  });

  test('a server that was stopped itself, or whose clock was set, does not take what it could not watch', async () => {
    const model = stage.script('jump', [steps.hang()], [steps.say('Whole')]);
    const clock = createClock(0);
    const run = await stage.join().begin(model);
    const other = stage.join({ clock });
    expect(await other.sweep()).toBe(0);
    const jumps = Math.ceil(LEASE_MS / WATCH_STEP_MAX_MS) - 1;
    for (let jump = 0; jump < jumps; jump += 1) {
      clock.pass(HOUR_MS);
      expect(await other.sweep()).toBe(0);
    }
    expect(stage.fixture.upstream.requestsFor(model).length).toBeLessThan(2);
    expect((await stage.fixture.readRun(run)).internal.attempts).toBe(0);
  });

  test('a process of another host is not taken for dead because its id is free, or the same, here', async () => {
    const model = stage.script('same pid', [steps.hang()]);
    const run = await stage.fixture.join({ owner: 'name:boot-1:4026531836/1/a' }).begin(model);
    const elsewhere = stage.fixture.join({ owner: 'name:boot-1:4026532999/1/b' });
    const rebooted = stage.fixture.join({ owner: 'name:boot-2:4026531836/7/c' });
    expect(await elsewhere.sweep()).toBe(0);
    expect(await rebooted.sweep()).toBe(0);
    const here = stage.fixture.join({ owner: 'name:boot-1:4026531836/7/d', isProcessAlive: () => true });
    expect(await here.sweep()).toBe(0);
    const successor = stage.fixture.join({ owner: 'name:boot-1:4026531836/1/e' });
    expect(await successor.sweep()).toBe(1);
    await waitUntil(
      'the run is the successor’s',
      async () => (await stage.fixture.readRun(run)).internal.attempts === 1,
    );
  });
}

function describeStaleProcesses(stage: TakeoverStage): void {
  describe('a process that was thought dead and comes back', () => {
    /** `gate`: the model says no more until the run was taken over. */
    const CASES: readonly (readonly [string, (gate: steps.Step) => readonly steps.Step[]])[] = [
      ['with the beginning of a message', (gate) => [gate, steps.say('Stale')]],
      ['with the end of its run', (gate) => [steps.say('Stale'), gate]],
      ['with a call', (gate) => [gate, steps.callTool('get_weather', {})]],
      ['with a call after a text', (gate) => [steps.say('Stale'), gate, steps.callTool('get_weather', {})]],
      ['with an error', (gate) => [steps.say('Stale'), gate, steps.reset()]],
    ];
    test.each(CASES)(
      '%s writes nothing: not in the middle of the other’s work, nor after its end',
      async (name, toTurn) => {
        for (const [when, writesMax] of [
          ['middle', undefined],
          ['middle, writes one by one', MANY],
          ['end, writes one by one', MANY],
        ] as const) {
          const [takenOver, staleDone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
          const turn = toTurn(steps.waitFor(takenOver.promise));
          const isAtEnd = when.startsWith('end');
          const later = isAtEnd
            ? [steps.say('Fresh')]
            : [steps.say('Fresh'), steps.waitFor(staleDone.promise)];
          const first = stage.join(writesMax === undefined ? {} : { writesMax });
          const model = stage.script(`${name}, ${when}`, turn, later);
          const run = await first.begin(model, {
            run: { tools: [toFunction('get_weather')] as RunRecord['tools'] },
          });
          await stage.fixture.upstream.waitForRequest((request) => request.model === model);
          if (turn[0]?.kind === 'text') await stage.waitForMessage(run);
          const other = await stage.takeFrom(run);
          await waitUntil(
            'the other asks the model',
            () => stage.fixture.upstream.requestsFor(model).length === 2,
          );
          if (isAtEnd) await other.settle(run);
          takenOver.resolve();
          await first.settle(run);
          staleDone.resolve();
          await other.settle(run);
          await stage.expectOnce(run, ['Fresh'], ['message_creation']);
        }
      },
    );

    test('stops its work when it looks, although it has nothing to write', async () => {
      const model = stage.script(
        'looks',
        [steps.say('Stale'), steps.hang()],
        [steps.say('Fresh'), steps.hang()],
      );
      const first = stage.join();
      const run = await first.begin(model);
      await stage.waitForMessage(run);
      const other = await stage.takeFrom(run);
      const sinceMs = performance.now();
      await first.settle(run);
      // It has looked more than once until it would have renewed its lease.
      expect(performance.now() - sinceMs).toBeLessThan(3 * LOOK_MS);
      expect(await stage.fixture.upstream.requestsFor(model)[0]?.ended).toBe('aborted');
      expect((await stage.readLease(run))?.record.owner).toBe(other.runs.owner);
    });
  });
}

function describeDrains(stage: TakeoverStage): void {
  test('a process that lets its runs come to their end before it stops renews their leases, and hears of cancels', async () => {
    const model = stage.script('drains', [steps.say('Half'), steps.hang()]);
    const draining = stage.join();
    const run = await draining.begin(model);
    await stage.waitForMessage(run);
    const before = await stage.readLease(run);
    const closed = draining.runs.close(60_000);
    await waitUntil('the lease is renewed', async () => {
      return (await stage.readLease(run))?.version !== before?.version;
    });
    await stage.fixture.cancel(run);
    await closed;
    expect((await stage.fixture.readRun(run)).status).toBe('cancelled');
    expect(await stage.readLease(run)).toBeNull();
  });
}

function describeDeaths(stage: TakeoverStage): void {
  describe('where only the order of writes is certain, a process that dies between any two of them', () => {
    const CALL = steps.callTool('get_weather', {}, { id: 'call_1' });
    const TOOLS = { run: { tools: [toFunction('get_weather')] as RunRecord['tools'] } };
    const TYPES = ['message_creation', 'tool_calls', 'message_creation'] as const;
    /** More than a run makes: the last ones die after its end. */
    const WRITES = 20;

    test('of a first turn leaves a run that ends once', async () => {
      for (let writesMax = 0; writesMax < WRITES; writesMax += 1) {
        const model = stage.fixture.upstream.script(
          `dies after ${writesMax}`,
          [steps.say('Let me see'), CALL],
          [steps.say('Cold')],
        );
        const mortal = stage.join({ writesMax });
        const run = await mortal.begin(model, TOOLS);
        await mortal.settle(run);
        await stage.finish(run);
        await stage.expectOnce(run, ['Let me see', 'Cold'], TYPES);
      }
    });

    test('of an answer to calls, and the turn after it, leaves a run that ends once', async () => {
      for (let writesMax = 0; writesMax < WRITES; writesMax += 1) {
        const model = stage.fixture.upstream.script(
          `answers after ${writesMax}`,
          [steps.say('Let me see'), CALL],
          [steps.say('Cold')],
        );
        const first = stage.join();
        const run = await first.begin(model, TOOLS);
        await first.settle(run);
        const mortal = stage.join({ writesMax });
        await mortal.submit(await stage.fixture.readRun(run), '-3').catch(() => undefined);
        await mortal.settle(run);
        await stage.finish(run);
        await stage.expectOnce(run, ['Let me see', 'Cold'], TYPES);
      }
    });
  });
}
