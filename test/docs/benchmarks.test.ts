/** The page about the benches, its plots, and the figures that the README names: all of them are what was measured. */

import { describe, expect, spyOn, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atLeast, mergeRun, openResults, type Run, readResult } from '../../bench/support/results.ts';
import { renewBenchmarksPage } from '../../scripts/docs/benchmarks.ts';
import { findClaimProblems } from '../../scripts/docs/claims.ts';
import { drawPictures } from '../../scripts/docs/pictures/pictures.ts';
import { STYLE } from '../../scripts/docs/pictures/svg.ts';
import { RESULTS_FOLDER, readResults, toResults } from '../../scripts/docs/results.ts';

const ROOT = join(import.meta.dir, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const MACHINE = { cpu: 'A', cores: 2, memoryGib: 24, system: 'Linux 6 x64' };

function toRun(command: string, values: Readonly<Record<string, number>>, quick = false): Run {
  const figures = Object.entries(values).map(([id, value]) => ({ id, what: id, value, unit: '×' }));
  return { command, date: '2026-11-25', quick, machine: MACHINE, versions: { bun: '1' }, figures };
}

describe('the page and its pictures', () => {
  test('say what was measured: `npm run docs` writes them', () => {
    const page = read('docs/benchmarks.md');
    expect(page === renewBenchmarksPage(page)).toBe(true);
    for (const [name, picture] of Object.entries(drawPictures())) {
      expect(read(`docs/pictures/${name}`) === picture, name).toBe(true);
    }
  });

  test('every bench has its place on the page', () => {
    const page = read('docs/benchmarks.md');
    const notBenches = ['run', 'harness'];
    const benches = readdirSync(join(ROOT, 'bench'))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => name.slice(0, -3))
      .filter((name) => !notBenches.includes(name));
    for (const bench of benches) expect(page).toContain(`<!-- figures: ${bench} -->`);
    const results = toResults([{ bench: 'new-one', runs: [toRun('a', { b: 1 })] }]);
    expect(() => renewBenchmarksPage(page, results)).toThrow('no place for new-one');
  });

  test('a missed aim and a quick run are said', () => {
    const figure = { id: 'a', what: 'a', value: 1, unit: 'ms', aim: atLeast(2), reached: false };
    const run = { ...toRun('npm run bench -- x --quick', {}, true), figures: [figure] };
    const page = '<!-- runs -->\n<!-- end -->\n<!-- figures: x -->\n<!-- end -->\n';
    const text = renewBenchmarksPage(page, toResults([{ bench: 'x', runs: [run] }]));
    expect(text).toContain('≥ 2 ms: **missed**');
    expect(text).toContain('1 ms (quick run)');
    expect(text).toContain('2026-11-25, a quick run');
  });

  test('can be read by who sees them in the dark, and by who does not see them', () => {
    for (const [name, picture] of Object.entries(drawPictures())) {
      expect(picture, name).toMatch(/<title id="title">[^<]{5,}<\/title>\n<desc id="desc">[^<]{40,}<\/desc>/);
      expect(picture, name).toContain(`<style>${STYLE}</style>`);
      expect(picture, name).not.toMatch(/<script|href=|url\(|NaN|undefined/);
    }
    expect(STYLE).toContain('prefers-color-scheme:dark');
  });
});

describe('the results of benches', () => {
  test('name no folder and no host, and are numbers', () => {
    const files = readdirSync(RESULTS_FOLDER).filter((name) => name.endsWith('.json'));
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      const text = readFileSync(join(RESULTS_FOLDER, file), 'utf8');
      expect(text, file).not.toMatch(/\/(?:tmp|home|root|work|Users|var)\/|localhost|127\.0\.0\.1|https?:/);
      const { bench, runs } = readResult(join(RESULTS_FOLDER, file));
      expect(`${bench}.json`).toBe(file);
      const figures = runs.flatMap((run) => run.figures);
      expect(figures.every(({ value }) => Number.isFinite(value))).toBe(true);
      expect(new Set(figures.map(({ id }) => id)).size).toBe(figures.length);
    }
  });

  test('a run replaces what it has measured anew, and leaves the rest', () => {
    const first = mergeRun({ bench: 'x', runs: [] }, toRun('x --peers', { a: 1, b: 2 }));
    const second = mergeRun(first, toRun('x', { a: 3 }));
    expect(second.runs.map(({ command, figures }) => [command, figures.map(({ value }) => value)])).toEqual([
      ['x', [3]],
      ['x --peers', [2]],
    ]);
    expect(mergeRun(second, toRun('x --peers', { a: 4 })).runs).toHaveLength(1);
  });

  test('a quick run never takes the place of a long one', () => {
    const long = mergeRun({ bench: 'x', runs: [] }, toRun('x', { a: 1 }));
    const both = mergeRun(long, toRun('x --quick', { a: 2, b: 3 }, true));
    const results = toResults([both]);
    expect([results.get('x.a').figure.value, results.get('x.b').figure.value]).toEqual([1, 3]);
    expect(() => results.get('x.c')).toThrow('npm run bench -- x --save');
    // What the long one measures under another name is not looked at twice.
    expect(mergeRun(both, toRun('x', { a: 4 })).runs.map(({ command }) => command)).toEqual(['x']);
  });

  test('are written figure by figure, and only where they are to be saved', () => {
    const folder = mkdtempSync(join(tmpdir(), 'understudy-results-'));
    const printed: string[] = [];
    const print = spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
    try {
      const results = openResults('x', ['--quick', `--save=${folder}`]);
      results.addVersion('Peer', '2.0');
      results.report({ id: 'a', what: 'a', value: 1.23456, unit: 'ms', aim: atLeast(2) });
      results.report({ id: 'b', what: 'b', value: 12_345, unit: '', beside: [{ name: 'c', value: 0.5 }] });
      expect(() => results.report({ id: 'b', what: 'b', value: 1, unit: '' })).toThrow('twice');
      expect(() => results.report({ id: 'd', what: 'd', value: Number.NaN, unit: '' })).toThrow(
        'not a number',
      );
      openResults('y', []).report({ id: 'a', what: 'a', value: 1, unit: '' });
      expect(printed.slice(0, 2)).toEqual(['a: 1.23 ms (aim ≥ 2 ms) MISS', 'b: 12,300 (c 0.5)']);
      expect(readdirSync(folder)).toEqual(['x.json']);
      const [run] = readResult(join(folder, 'x.json')).runs;
      expect(run).toMatchObject({ command: 'npm run bench -- x --quick', quick: true });
      expect(run?.versions).toMatchObject({ Peer: '2.0' });
      expect(run?.figures).toMatchObject([{ value: 1.23, reached: false }, { value: 12_300 }]);
    } finally {
      print.mockRestore();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('a figure that is claimed', () => {
  const results = toResults([
    { bench: 'gateway', runs: [toRun('g', { ratio: 13.4, 'per-cpu': 10_500 })] },
    { bench: 'load', runs: [toRun('l --quick', { memory: 5 }, true)] },
  ]);
  const find = (text: string): string[] => findClaimProblems(text, results);

  test('stands in the README only as it was measured', () => {
    expect(findClaimProblems(read('README.md'), readResults())).toEqual([]);
  });

  test('is true where it is what was measured, rounded as it is shown, or bounded by it', () => {
    expect(find('13 × <!-- bench: gateway.ratio --> as many')).toEqual([]);
    expect(find('[13.4 ×](docs/benchmarks.md#gateway) <!-- bench: gateway.ratio -->')).toEqual([]);
    expect(
      find(
        'at least 10 × <!-- bench: gateway.ratio -->; 10,500 requests a CPU second <!-- bench: gateway.per-cpu -->',
      ),
    ).toEqual([]);
    expect(find('under 14 × <!-- bench: gateway.ratio -->')).toEqual([]);
    expect(find('```sh\n20 ms\n```\n`5 ms` and 20 kinds in ten minutes')).toEqual([]);
  });

  test('is found out where it is not', () => {
    expect(find('14 × <!-- bench: gateway.ratio -->')).toEqual([
      'line 1: 14 is claimed of gateway.ratio, and 13.4 was measured',
    ]);
    expect(find('more than 13.5 × <!-- bench: gateway.ratio -->')).toHaveLength(1);
    expect(find('at most 13 × <!-- bench: gateway.ratio -->')).toHaveLength(1);
    expect(find('5 MiB <!-- bench: load.memory -->')).toEqual(['line 1: load.memory is of a quick run']);
    expect(find('5 MiB <!-- bench: load.other -->')).toEqual(['line 1: load.other has not been measured']);
    expect(find('<!-- bench: gateway.ratio -->')).toHaveLength(1);
  });

  test('needs its note', () => {
    expect(find('\n13 × as many, 5 ms')).toEqual([
      "line 2: '13 ×' has no note of what has measured it",
      "line 2: '5 ms' has no note of what has measured it",
    ]);
    expect(find('12,000 requests a CPU second')).toHaveLength(1);
    expect(find('28 times as fast, 13 × <!-- bench: gateway.ratio -->')).toEqual([
      "line 1: '28 times' has no note of what has measured it",
    ]);
  });
});
