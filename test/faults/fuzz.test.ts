/**
 * A fuzzer over every operation that `/openapi.json` lists. Half of the requests are as the schemas want them and must be taken;
 * the others are spoilt: wrong types, huge and deep values, broken text, ids of other kinds, odd paths, queries and headers.
 *
 * No answer is a 500, none is missing, each error is in the envelope and says something, no process ends, nothing is logged as
 * failed, and memory does not grow with the number of requests.
 *
 * What fails is printed with its seed and its number: `UNDERSTUDY_FAULTS_SEED=SEED UNDERSTUDY_FAULTS_CASE=NUMBER` sends that
 * one again, alone. `UNDERSTUDY_FAULTS_SEED=random UNDERSTUDY_FAULTS_SCALE=20` is the long form.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { Value } from '@sinclair/typebox/value';
import { ErrorResponse } from '../../src/schemas/generated/errors.ts';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { type FuzzRequest, toSpoiltRequest, toValidRequest } from './fuzz/fuzz-requests.ts';
import { type KnownObjects, makeKnownObjects } from './fuzz/known-objects.ts';
import { createRandom, readScale, readSeed, toCaseSeed } from './seeded-random.ts';

const OPERATIONS = [...toServedOperations()];
const seed = readSeed();
const scale = readScale();
const only = process.env.UNDERSTUDY_FAULTS_CASE;
/** Each operation so often. */
const ROUNDS = 50 * scale;
const CONCURRENCY = 16;
/** No answer by then is a hang: the slowest order that the local model takes is shorter. */
const ANSWER_MS = 20_000;
const FAULTS_SHOWN_MAX = 20;
const SHOWN_CHARACTERS = 3_000;
/**
 * What the process may hold more after the second half than after the first, whatever their number: in the short form its heap is
 * still growing to its size, in the long one this is a few hundred bytes a request.
 */
const GROWTH_MAX_MIB = 80;

let upstream: ScriptedUpstream;
let server: TestServer;
let known: KnownObjects;
let deaf: Bun.Server<undefined>;

beforeAll(async () => {
  upstream = await startScriptedUpstream({ requestsMax: 0 });
  // Whatever model a request names, nobody outside of this machine is asked.
  server = await startServer({ env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'k' } });
  deaf = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch: () => new Promise<Response>(() => undefined),
  });
  known = await makeKnownObjects(server, `${deaf.url}v1`);
  console.log(`fuzz: seed ${seed}, ${ROUNDS} requests to each of ${OPERATIONS.length} operations`);
}, 60_000);

afterAll(async () => {
  await server.stop();
  await upstream.close();
  await deaf.stop(true);
});

interface Tally {
  readonly faults: string[];
  readonly accepted: Map<string, number>;
  readonly statuses: Map<number, number>;
  slowestMs: number;
}

async function makeRequest(index: number): Promise<FuzzRequest> {
  const random = createRandom(toCaseSeed(seed, index));
  const [operationId, operation] = OPERATIONS[index % OPERATIONS.length] ?? OPERATIONS[0] ?? [];
  if (operationId === undefined || operation === undefined) throw new Error('no operations');
  const isValid = random.chance(0.5);
  const params = await known.toParams(operationId, random);
  const target = { operationId, operation, params };
  return isValid ? toValidRequest(random, target) : toSpoiltRequest(random, target);
}

async function send(request: FuzzRequest): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${server.url}${request.path}`, {
    method: request.method,
    headers: request.headers,
    signal: AbortSignal.timeout(ANSWER_MS),
    redirect: 'manual',
    ...(request.body === null || request.method === 'GET' ? {} : { body: request.body }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** What is wrong with an answer; null where nothing is. */
function findFault(request: FuzzRequest, status: number, headers: Headers, text: string): string | null {
  if (!headers.get('x-request-id')) return 'no x-request-id';
  if (status === 500) return 'a 500';
  if (status < 400) return status === 200 || status === 206 ? null : `an odd status ${status}`;
  if (request.isValid) return `a valid request was refused with ${status}`;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return `an error that is no JSON (${status})`;
  }
  if (!Value.Check(ErrorResponse, json)) return `an error without the envelope (${status})`;
  if (!/\S/.test(json.error.message)) return `an error that says nothing (${status})`;
  return null;
}

async function play(index: number, tally: Tally): Promise<void> {
  const request = await makeRequest(index);
  const startedMs = performance.now();
  let fault: string | null;
  let answer = '';
  try {
    const { status, headers, text } = await send(request);
    answer = `${status} ${text}`;
    fault = findFault(request, status, headers, text);
    tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
    if (status === 200)
      tally.accepted.set(request.operationId, (tally.accepted.get(request.operationId) ?? 0) + 1);
  } catch (error) {
    fault = `no answer: ${error}`;
  }
  tally.slowestMs = Math.max(tally.slowestMs, performance.now() - startedMs);
  if (fault !== null) tally.faults.push(describe(index, request, fault, answer));
}

function describe(index: number, request: FuzzRequest, fault: string, answer: string): string {
  const body =
    request.body === null ? '' : Buffer.from(request.body).toString('utf8').slice(0, SHOWN_CHARACTERS);
  return [
    `case ${index} of seed ${seed} (${request.operationId}): ${fault}`,
    `${request.method} ${request.path.slice(0, SHOWN_CHARACTERS)}`,
    JSON.stringify(request.headers).slice(0, SHOWN_CHARACTERS),
    body,
    `→ ${answer.slice(0, SHOWN_CHARACTERS)}`,
  ].join('\n');
}

async function playAll(begin: number, end: number, tally: Tally): Promise<void> {
  let next = begin;
  const lane = async (): Promise<void> => {
    while (next < end && tally.faults.length < FAULTS_SHOWN_MAX) {
      const index = next;
      next += 1;
      await play(index, tally);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
}

/** MiB of memory that the serving process holds. */
async function readResident(): Promise<number> {
  const status = await readFile(`/proc/${server.workerPid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

test(
  'no request to any operation brings a 500, a hang, an error without words or the end of a process',
  async () => {
    const tally: Tally = { faults: [], accepted: new Map(), statuses: new Map(), slowestMs: 0 };
    const count = ROUNDS * OPERATIONS.length;
    if (only !== undefined) {
      await playAll(Number(only), Number(only) + 1, tally);
      expect(tally.faults).toEqual([]);
      return;
    }
    await playAll(0, count / 2, tally);
    const halfMib = await readResident();
    await playAll(count / 2, count, tally);
    const wholeMib = await readResident();
    console.log(
      `fuzz: ${count} requests, statuses ${JSON.stringify(Object.fromEntries([...tally.statuses].sort()))}, slowest ` +
        `${tally.slowestMs.toFixed(0)} ms, memory ${halfMib.toFixed(0)} MiB after a half, ${wholeMib.toFixed(0)} MiB after all`,
    );
    expect(tally.faults.join('\n\n')).toBe('');
    const neverAccepted = OPERATIONS.map(([id]) => id).filter((id) => !tally.accepted.has(id));
    expect(neverAccepted).toEqual([]);
    expect((await server.call('GET', '/health')).status).toBe(200);
    expect(server.output()).not.toContain('worker ended');
    expect(server.output()).not.toContain('request failed');
    expect(wholeMib - halfMib).toBeLessThan(GROWTH_MAX_MIB);
  },
  60_000 * Math.max(3, scale),
);
