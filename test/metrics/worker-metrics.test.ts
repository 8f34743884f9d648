import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { WorkerName } from '../../src/cluster/fleet.ts';
import { createLog } from '../../src/log.ts';
import { readEntries } from '../../src/metrics/cell-memory.ts';
import { createMetrics, MEMORY_BYTES } from '../../src/metrics/create-metrics.ts';
import {
  createMetricsPart,
  METRICS_FILE_VARIABLE,
  type MetricsPart,
} from '../../src/metrics/metrics-part.ts';
import { createSharedMemory, openSharedMemory } from '../../src/metrics/shared-memory.ts';
import { openWorkerMetrics, type WorkerMetrics } from '../../src/metrics/worker-metrics.ts';
import { waitUntil } from '../support/server.ts';
import { sumSamples } from './prometheus.ts';

const log = createLog('silent', () => undefined);
const REQUEST = { handler: '/v1/files', method: 'GET', status: '2xx' } as const;
const folders: string[] = [];
const workers: WorkerMetrics[] = [];

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-metrics-'));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const worker of workers.splice(0)) worker.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function createPart(places: readonly string[]): MetricsPart {
  return createMetricsPart({ version: '1.2.3', dataDirectory: null, log, folders: places });
}

/** A worker of that primary, in this process. */
function startWorker(part: MetricsPart, name: WorkerName): WorkerMetrics {
  const environment: Record<string, string | undefined> = { ...part.beforeStart?.(name) };
  const fleet = {
    ask: async (topic: string, body: unknown): Promise<unknown> => await part.answers?.[topic]?.(body, name),
  };
  const worker = openWorkerMetrics({ fleet, log, environment });
  workers.push(worker);
  part.onReady?.(name);
  return worker;
}

describe.skipIf(process.platform === 'win32')('memory that primary and worker share', () => {
  test('leaves no file behind once the worker is ready, and is still shared', async () => {
    const folder = createFolder();
    const part = createPart([folder]);
    const worker = startWorker(part, { serial: 1, slot: 1 });
    expect(readdirSync(folder)).toEqual([]);
    worker.metrics.counter('http_requests_total', REQUEST).add(4);
    expect(sumSamples(part.render('text'), 'http_requests_total')).toBe(4);
    expect(await worker.renderPage('openmetrics')).toEndWith('# EOF\n');
  });

  test('is removed by the worker itself, should the primary be killed before it is ready', () => {
    const folder = createFolder();
    const memory = createSharedMemory([folder], MEMORY_BYTES);
    const opened = openSharedMemory(memory?.path ?? '');
    expect(readdirSync(folder)).toEqual([]);
    const metrics = createMetrics(opened ?? new Uint8Array(), { isPrimary: false });
    metrics.counter('http_requests_total', REQUEST).add(4);
    const entries = [...readEntries(memory?.bytes ?? new Uint8Array())];
    expect(entries.find(({ name }) => name === 'http_requests_total')?.cells[0]).toBe(4);
  });

  test('leaves no file behind where the worker never gets ready', () => {
    const folder = createFolder();
    const part = createPart([folder]);
    part.beforeStart?.({ serial: 1, slot: 1 });
    expect(readdirSync(folder)).toHaveLength(1);
    part.onEnded?.({ serial: 1, slot: 1 });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is made in the next folder where the first is not there, and nowhere where none is', () => {
    const folder = createFolder();
    const missing = join(folder, 'missing');
    const memory = createSharedMemory([missing, folder], MEMORY_BYTES);
    expect(memory?.path.startsWith(`${folder}/`)).toBe(true);
    memory?.release();
    memory?.release();
    expect(existsSync(memory?.path ?? '')).toBe(false);
    expect(createSharedMemory([missing], MEMORY_BYTES)).toBeNull();
  });

  test('that processes which were killed have left long ago is removed, and nothing else', () => {
    const folder = createFolder();
    const [old, young] = [createSharedMemory([folder], 64), createSharedMemory([folder], 64)];
    writeFileSync(join(folder, 'understudy-notes.metrics'), '');
    const longAgo = new Date(Date.now() - 3_600_000);
    utimesSync(old?.path ?? '', longAgo, longAgo);
    utimesSync(join(folder, 'understudy-notes.metrics'), longAgo, longAgo);
    createPart([join(folder, 'missing'), folder]);
    expect(readdirSync(folder).sort()).toEqual(
      [basename(young?.path ?? ''), 'understudy-notes.metrics'].sort(),
    );
  });

  test('belongs to the user of the server alone', () => {
    const memory = createSharedMemory([createFolder()], MEMORY_BYTES);
    const { mode } = statSync(memory?.path ?? '');
    expect(mode & 0o777).toBe(0o600);
  });

  test('of another build, or of anything else, is not counted into', async () => {
    const folder = createFolder();
    const path = join(folder, 'other');
    await Bun.write(path, new Uint8Array(MEMORY_BYTES));
    expect(openSharedMemory(path)).toBeNull();
    expect(openSharedMemory(join(folder, 'none'))).toBeNull();
  });

  test('is not told to the processes that the worker starts', () => {
    const environment: Record<string, string | undefined> = { [METRICS_FILE_VARIABLE]: '/nowhere' };
    workers.push(openWorkerMetrics({ fleet: { ask: async () => null }, log, environment }));
    expect(environment).toEqual({});
  });
});

describe('a worker without shared memory', () => {
  test('tells its numbers when somebody asks it for the page, and by itself', async () => {
    const part = createPart([]);
    const worker = startWorker(part, { serial: 1, slot: 1 });
    worker.metrics.counter('http_requests_total', REQUEST).add(4);
    expect(sumSamples(await worker.renderPage('text'), 'http_requests_total')).toBe(4);
    worker.metrics.counter('http_requests_total', REQUEST).add(1);
    await waitUntil(
      'it has told the fifth',
      () => sumSamples(part.render('text'), 'http_requests_total') === 5,
    );
  });

  test('leaves behind what it has told, when it ends', async () => {
    const part = createPart([]);
    const name = { serial: 1, slot: 1 };
    const worker = startWorker(part, name);
    worker.metrics.counter('http_requests_total', REQUEST).add(4);
    await worker.renderPage('text');
    part.onEnded?.(name);
    const successor = startWorker(part, { serial: 2, slot: 1 });
    successor.metrics.counter('http_requests_total', REQUEST).add(2);
    const page = await successor.renderPage('text');
    expect(sumSamples(page, 'http_requests_total')).toBe(6);
    expect(sumSamples(page, 'understudy_worker_restarts_total')).toBe(1);
  });

  test('is not believed where what it tells is no memory, or none of this build', () => {
    const part = createPart([]);
    const name = { serial: 1, slot: 1 };
    part.beforeStart?.(name);
    const answer = part.answers?.['metrics-snapshot'];
    for (const body of [null, 7, '', 'AAAA', Buffer.alloc(1000).toString('base64')]) answer?.(body, name);
    answer?.('AAAA', { serial: 99, slot: 1 });
    expect(sumSamples(part.render('text'), 'http_requests_total')).toBe(0);
  });
});

test('the primary tells of itself: version, start, workers', () => {
  const part = createPart([]);
  part.beforeStart?.({ serial: 1, slot: 1 });
  const page = part.render('text');
  expect(page).toContain('understudy_build_info{version="1.2.3"} 1');
  expect(sumSamples(page, 'understudy_workers')).toBe(1);
  const seconds = sumSamples(page, 'process_start_time_seconds');
  expect(Math.abs(seconds - performance.timeOrigin / 1000)).toBeLessThan(1);
  expect(sumSamples(page, 'understudy_resident_memory_bytes', 'worker="primary"')).toBeGreaterThan(1_000_000);
  expect(sumSamples(page, 'process_cpu_seconds_total')).toBeGreaterThan(0);
});
