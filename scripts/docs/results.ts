/** What the benches have measured, as the page, its plots and the check of the README's figures ask for it. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Figure, type Result, type Run, readResult } from '../../bench/support/results.ts';

export const RESULTS_FOLDER = join(import.meta.dir, '../../bench/results');

/** A figure with the run that it is of. */
export interface Measured {
  readonly figure: Figure;
  readonly run: Run;
}

export interface Results {
  /** `gateway.per-cpu`. Errors: what has not been measured. */
  get(name: string): Measured;
  find(name: string): Measured | null;
  /** Of a bench, run by run. */
  list(bench: string): readonly Measured[];
  readonly benches: readonly string[];
  readonly runs: readonly Run[];
}

export function readResults(folder: string = RESULTS_FOLDER): Results {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return toResults(names.sort().map((name) => readResult(join(folder, name))));
}

export function toResults(all: readonly Result[]): Results {
  const figures = new Map<string, Measured>();
  const byBench = new Map<string, Measured[]>();
  for (const { bench, runs } of all) {
    const measured = runs.flatMap((run) => run.figures.map((figure) => ({ figure, run })));
    byBench.set(bench, measured);
    for (const one of measured) figures.set(`${bench}.${one.figure.id}`, one);
  }
  const find = (name: string): Measured | null => figures.get(name) ?? null;
  return {
    find,
    get(name) {
      const found = find(name);
      if (found !== null) return found;
      throw new Error(`${name} has not been measured: npm run bench -- ${name.split('.')[0]} --save`);
    },
    list: (bench) => byBench.get(bench) ?? [],
    benches: [...byBench.keys()],
    runs: all.flatMap(({ runs }) => runs),
  };
}
