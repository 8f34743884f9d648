/** The line that closes a run of the tests tells the truth, crashes and empty runs included. */

import { expect, test } from 'bun:test';
import { addResults, judgeRun, readJunit, toClosingLine, toResults } from '../../scripts/setup/results.mjs';

function toReport(tests: number, failures: number, skipped: number): string {
  return `<?xml version="1.0"?>\n<testsuites name="bun test" tests="${tests}" assertions="1" failures="${failures}" skipped="${skipped}" time="1">\n</testsuites>`;
}

test('counts come from the report', () => {
  expect(readJunit(toReport(10, 2, 3))).toEqual({ passed: 5, failed: 2, skipped: 3 });
});

test('skipped tests are named only where there are some', () => {
  expect(toClosingLine(toResults(3, 0, 0))).toBe('3 passed, 0 failed');
  expect(toClosingLine(addResults(toResults(3, 0, 0), toResults(1, 2, 4)))).toBe(
    '4 passed, 2 failed, 4 skipped',
  );
});

test('a crash, an empty run and a missing report each count as a failure', () => {
  expect(judgeRun(1, toReport(10, 0, 0)).failed).toBe(1);
  expect(judgeRun(0, toReport(0, 0, 0)).failed).toBe(1);
  expect(judgeRun(0, null).failed).toBe(1);
  expect(judgeRun(1, toReport(10, 2, 0)).failed).toBe(2);
  expect(judgeRun(0, toReport(10, 0, 0)).failed).toBe(0);
});
