/** A page of metrics, read: by Prometheus' own parser, or by a few lines where only sums are needed. */

import { join } from 'node:path';
import type { ExpositionFormat } from '../../src/metrics/exposition.ts';
import { findPythonWith, type Python } from '../support/python-packages.ts';

const CLIENT_VERSION = '0.26.0';

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  readonly samples: readonly (readonly [string, Readonly<Record<string, string>>, string])[];
}

/** Prometheus' client for Python, which has its parsers. */
export function findPrometheusParser(): Promise<Python> {
  return findPythonWith('prometheus-client', CLIENT_VERSION);
}

/** Errors: what the parser says against the page. */
export async function parsePage(
  python: string,
  page: string,
  format: ExpositionFormat,
): Promise<readonly ParsedFamily[]> {
  const child = Bun.spawn([python, join(import.meta.dir, 'parse.py'), format], {
    stdin: new Blob([page]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(errors);
  return JSON.parse(out);
}

/** The sum of all samples of a name whose line holds each of the texts (`status="2xx"`). */
export function sumSamples(page: string, name: string, ...texts: readonly string[]): number {
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => texts.every((text) => line.includes(text)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
