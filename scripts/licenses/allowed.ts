/** Which licences may be in the executable. A package under another one stops the build: somebody has to decide. */

/** By SPDX. All let anybody use, change and pass on, and ask for no more than their text and notices. */
export const ALLOWED_LICENSES: readonly string[] = Object.freeze([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT-0',
]);

/** Whether an expression of SPDX can be met by those that are allowed: `(AFL-2.1 OR BSD-3-Clause)` can. */
export function isAllowed(expression: string): boolean {
  return expression
    .replaceAll(/[()]/g, '')
    .split(/\s+OR\s+/)
    .some((choice) => choice.split(/\s+AND\s+/).every((id) => ALLOWED_LICENSES.includes(id)));
}
