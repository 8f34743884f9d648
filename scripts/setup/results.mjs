/** Counts of tests, and the line that closes a run. */

/** @typedef {{ passed: number, failed: number, skipped: number }} Results */

/**
 * @param {number} passed
 * @param {number} failed
 * @param {number} skipped
 * @returns {Results}
 */
export function toResults(passed, failed, skipped) {
  return { passed, failed, skipped };
}

/**
 * @param {Results} a
 * @param {Results} b
 * @returns {Results}
 */
export function addResults(a, b) {
  return toResults(a.passed + b.passed, a.failed + b.failed, a.skipped + b.skipped);
}

/**
 * What a run of the tests came to. A file that cannot be loaded is in no report, and a run that crashed, was killed or
 * found no test has none: each of them counts as a failure.
 * @param {number} code Its exit code.
 * @param {string | null} report
 * @returns {Results}
 */
export function judgeRun(code, report) {
  const counted = report === null ? toResults(0, 0, 0) : readJunit(report);
  const isOdd = counted.failed === 0 && (code !== 0 || counted.passed === 0);
  return isOdd ? addResults(counted, toResults(0, 1, 0)) : counted;
}

/**
 * The counts of a JUnit report. Throws where it is none.
 * @param {string} xml
 * @returns {Results}
 */
export function readJunit(xml) {
  const head = /<testsuites\b[^>]*>/.exec(xml)?.[0];
  if (head === undefined) throw new Error('The report of the tests cannot be read.');
  /** @param {string} name */
  const count = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = count('failures') + count('errors');
  const skipped = count('skipped');
  return toResults(count('tests') - failed - skipped, failed, skipped);
}

/**
 * @param {Results} results
 * @returns {string}
 */
export function toClosingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
