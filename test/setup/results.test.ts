import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addResults, judgeRun, toClosingLine, toResults } from '../../scripts/setup/results.mjs';

describe('the closing line', () => {
  test('has the form that is counted, with skips only where there are some', () => {
    expect(toClosingLine(toResults(12, 0, 0))).toBe('12 passed, 0 failed');
    expect(toClosingLine(addResults(toResults(1, 2, 3), toResults(10, 20, 30)))).toBe(
      '11 passed, 22 failed, 33 skipped',
    );
  });
});

/** Runs of the real test runner over small files. */
describe('a run of tests', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'understudy-runs-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (files: Readonly<Record<string, string>>) => {
    const place = mkdtempSync(join(folder, 'run-'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(place, name), text);
    const report = join(place, 'junit.xml');
    const { exitCode, stderr } = Bun.spawnSync(
      [process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${report}`],
      { cwd: place, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
    );
    const text = existsSync(report) ? readFileSync(report, 'utf8') : null;
    return { ...judgeRun(exitCode, text), printed: stderr.toString() };
  };
  const IMPORT = "import { expect, test } from 'bun:test';\n";

  test('is counted as the runner counts it', () => {
    const body = `${IMPORT}test('a', () => {}); test('b', () => {}); test.skip('c', () => {});`;
    const bad = `${IMPORT}test('tests="9" failures="0"', () => { expect(1).toBe(2); });`;
    expect(run({ 'a.test.ts': body, 'b.test.ts': bad })).toMatchObject({ passed: 2, failed: 1, skipped: 1 });
  });

  test('that finds none has failed', () => {
    expect(run({ 'a.txt': '' })).toMatchObject({ passed: 0, failed: 1 });
  });

  test('that skips all has failed', () => {
    expect(run({ 'a.test.ts': `${IMPORT}test.skip('a', () => {});` })).toMatchObject({
      passed: 0,
      failed: 1,
    });
  });

  test('in which a file cannot be loaded has failed, although every test passed', () => {
    const files = { 'a.test.ts': `${IMPORT}test('a', () => {});`, 'b.test.ts': "import './missing.ts';" };
    expect(run(files)).toMatchObject({ passed: 1, failed: 1 });
  });

  test('that crashes has failed', () => {
    const body = `${IMPORT}test('a', () => {}); test('b', () => { process.kill(process.pid, 'SIGKILL'); });`;
    expect(run({ 'a.test.ts': body }).failed).toBe(1);
  });

  test('that ends itself has failed', () => {
    const body = `${IMPORT}test('a', () => {}); test('b', () => { process.exit(0); });`;
    expect(run({ 'a.test.ts': body }).failed).toBe(1);
  });
});
