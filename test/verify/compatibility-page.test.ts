/** The page of compatibility, and what the suite covers. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCompatibilityPage } from '../../scripts/docs/compatibility.ts';
import { VERIFY_FLAGS } from '../../src/config/verify-flags.ts';
import { toAllOperations } from '../../src/verify/answer-check.ts';
import { toEventSchemas } from '../../src/verify/event-rules.ts';
import { CHECKS, EVENTS_NOT_COVERED, OPERATIONS_NOT_COVERED } from '../../src/verify/suite.ts';
import { runProgram } from '../check/program.ts';
import { startServer, type TestServer } from '../support/server.ts';

const page = await readFile(join(import.meta.dir, '../../docs/compatibility.md'), 'utf8');

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server?.stop());

test('every operation of the API document is covered by a check, or named with the reason why it is not', () => {
  const covered = CHECKS.flatMap(({ operation }) => (operation === null ? [] : [operation]));
  const named = Object.keys(OPERATIONS_NOT_COVERED);
  expect([...new Set([...covered, ...named])].sort()).toEqual([...toAllOperations().keys()].sort());
  expect(named.filter((name) => covered.includes(name))).toEqual([]);
});

test('every event of the API document is waited for, or named with the reason why it is not', () => {
  const awaited = CHECKS.filter(({ group }) => group !== 'chat completions').flatMap(
    ({ events }) => events?.rules.map(({ name }) => name) ?? [],
  );
  const named = Object.keys(EVENTS_NOT_COVERED);
  expect([...new Set([...awaited, ...named])].sort()).toEqual([...toEventSchemas().keys()].sort());
  expect(named.filter((name) => awaited.includes(name))).toEqual([]);
});

test('the tables of the page are what verify prints of this build: `npm run docs` writes them', async () => {
  const { stdout, code } = await runProgram(['verify', '--base-url', server.url, '--markdown']);
  expect(code).toBe(0);
  expect(page).toBe(toCompatibilityPage(page, stdout));
});

test('the page names every operation and every flag', () => {
  for (const operation of toAllOperations().keys()) expect(page).toContain(`\`${operation}\``);
  for (const flag of Object.keys(VERIFY_FLAGS)) expect(page).toContain(`--${flag}`);
});

test('a page that lost the place of its tables is told of', () => {
  expect(() => toCompatibilityPage('# Compatibility', '')).toThrow('no place');
});
