/**
 * What benches have measured, as data: `bench/results/NAME.json`. With `--save` a bench writes its file there (`--save=FOLDER`: elsewhere),
 * figure by figure. `docs/benchmarks.md` and its plots are made from these files by `npm run docs`.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join, resolve } from 'node:path';

const FOLDER = resolve(import.meta.dir, '../results');
const PACKAGE = resolve(import.meta.dir, '../../package.json');
const SAVE_FLAG = '--save';
const QUICK_FLAG = '--quick';
/** More would only be noise in a diff: figures of one machine wander by some percent. */
const SIGNIFICANT_DIGITS = 3;

export interface Aim {
  readonly is: '≤' | '≥' | '<';
  readonly value: number;
}

export interface Beside {
  /** What it is compared with: `the bare relay`. */
  readonly name: string;
  /** In the figure's unit, unless there is another one. */
  readonly value: number;
  readonly unit?: string;
}

export interface Distribution {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface Figure {
  /** Among the figures of its bench: `added-first-token-p50`. */
  readonly id: string;
  /** For a reader. */
  readonly what: string;
  readonly value: number;
  /** `ms`, `MiB`, `a second`; empty for a ratio. */
  readonly unit: string;
  readonly aim?: Aim;
  /** Where there is an aim. */
  readonly reached?: boolean;
  readonly beside?: readonly Beside[];
  /** In the figure's unit. */
  readonly distribution?: Distribution;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
}

/** What one call of a bench has measured. */
export interface Run {
  readonly command: string;
  /** A day: `2026-11-25`. */
  readonly date: string;
  /** With `--quick`: for a look, no figure to be named. */
  readonly quick: boolean;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly figures: readonly Figure[];
}

export interface Result {
  readonly bench: string;
  /** Each figure stands in one of them: in the newest that has measured it. */
  readonly runs: readonly Run[];
}

export interface Results {
  /** Prints a figure, and keeps it under `--save`. Errors: a figure that is not a number. */
  report(figure: Omit<Figure, 'reached'>): void;
  /** Of something that stands beside: `LiteLLM`, `1.108.7`. */
  addVersion(name: string, version: string): void;
}

export function atMost(value: number): Aim {
  return { is: '≤', value };
}

export function atLeast(value: number): Aim {
  return { is: '≥', value };
}

export function below(value: number): Aim {
  return { is: '<', value };
}

/** `args` are those of the command line, without the program. */
export function openResults(bench: string, args: readonly string[] = process.argv.slice(2)): Results {
  const path = findPath(bench, args);
  const before = path !== null && existsSync(path) ? readResult(path) : { bench, runs: [] };
  const versions: Record<string, string> = {
    bun: Bun.version,
    understudy: JSON.parse(readFileSync(PACKAGE, 'utf8')).version,
  };
  const figures: Figure[] = [];
  return {
    addVersion(name, version) {
      versions[name] = version;
    },
    report(figure) {
      const full = toFigure(figure);
      if (figures.some(({ id }) => id === full.id)) throw new Error(`${bench} has ${full.id} twice.`);
      figures.push(full);
      console.log(toLine(full));
      if (path === null) return;
      const run: Run = {
        command: toCommand(bench, args),
        date: new Date().toISOString().slice(0, 10),
        quick: args.includes(QUICK_FLAG),
        machine: readMachine(),
        versions,
        figures,
      };
      writeFileSync(path, `${JSON.stringify(mergeRun(before, run), null, 2)}\n`);
    },
  };
}

function findPath(bench: string, args: readonly string[]): string | null {
  const flag = args.find((arg) => arg === SAVE_FLAG || arg.startsWith(`${SAVE_FLAG}=`));
  if (flag === undefined) return null;
  const folder = flag === SAVE_FLAG ? FOLDER : resolve(flag.slice(SAVE_FLAG.length + 1));
  mkdirSync(folder, { recursive: true });
  return join(folder, `${bench}.json`);
}

export function readResult(path: string): Result {
  return JSON.parse(readFileSync(path, 'utf8')) as Result;
}

/**
 * The new run replaces the last one of the same command, quick or not, and takes the figures over that it has measured anew. A quick one
 * never takes the place of a figure that was measured at length.
 */
export function mergeRun(before: Result, run: Run): Result {
  const others = before.runs.filter(
    ({ command }) => command !== run.command && command.replace(` ${QUICK_FLAG}`, '') !== run.command,
  );
  const kept = new Set(
    run.quick
      ? others.filter(({ quick }) => !quick).flatMap(({ figures }) => figures.map(({ id }) => id))
      : [],
  );
  const figures = run.figures.filter(({ id }) => !kept.has(id));
  const taken = new Set(figures.map(({ id }) => id));
  const runs = [
    ...others.map((other) => ({ ...other, figures: other.figures.filter(({ id }) => !taken.has(id)) })),
    { ...run, figures },
  ].filter((one) => one.figures.length > 0);
  const toKey = ({ date, command }: Run): string => `${date} ${command}`;
  return { bench: before.bench, runs: runs.sort((a, b) => (toKey(a) < toKey(b) ? -1 : 1)) };
}

function toFigure({ id, what, value, unit, aim, beside, distribution }: Omit<Figure, 'reached'>): Figure {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id)) throw new Error(`A figure cannot be called ${id}.`);
  return {
    id,
    what,
    value: round(value),
    unit,
    ...(aim === undefined
      ? {}
      : { aim: { is: aim.is, value: round(aim.value) }, reached: isReached(value, aim) }),
    ...(beside === undefined ? {} : { beside: beside.map((one) => ({ ...one, value: round(one.value) })) }),
    ...(distribution === undefined
      ? {}
      : {
          distribution: {
            p50: round(distribution.p50),
            p95: round(distribution.p95),
            p99: round(distribution.p99),
            max: round(distribution.max),
          },
        }),
  };
}

function isReached(value: number, { is, value: aimed }: Aim): boolean {
  if (is === '≥') return value >= aimed;
  return is === '≤' ? value <= aimed : value < aimed;
}

function round(value: number): number {
  if (!Number.isFinite(value)) throw new Error('A figure is not a number.');
  return Number(value.toPrecision(SIGNIFICANT_DIGITS));
}

/** `1,440 a second`, `0.66`, `13 ×`. */
export function toShown(value: number, unit: string): string {
  const number = round(value).toLocaleString('en', { maximumFractionDigits: 6 });
  return unit === '' ? number : `${number} ${unit}`;
}

/** What stands behind a figure, in brackets; empty where nothing does. */
export function toAside({ unit, beside = [], distribution }: Figure): string {
  const parts = beside.map((one) => `${one.name} ${toShown(one.value, one.unit ?? unit)}`);
  if (distribution !== undefined) {
    const { p95, p99, max } = distribution;
    parts.push(`p95 ${toShown(p95, '')}, p99 ${toShown(p99, '')}, max ${toShown(max, unit)}`);
  }
  return parts.join('; ');
}

function toLine(figure: Figure): string {
  const { what, value, unit, aim, reached } = figure;
  const aside = toAside(figure);
  const shown = `${what}: ${toShown(value, unit)}${aside === '' ? '' : ` (${aside})`}`;
  if (aim === undefined) return shown;
  return `${shown} (aim ${aim.is} ${toShown(aim.value, unit)}) ${reached ? 'PASS' : 'MISS'}`;
}

/** As somebody else would call it: without the flag that saves, and without addresses. */
function toCommand(bench: string, args: readonly string[]): string {
  const flags = args.filter((arg) => arg !== SAVE_FLAG && !arg.startsWith(`${SAVE_FLAG}=`));
  const words = flags.map((arg) => arg.replace(/=.*[/\\].*$/, '=…'));
  // The names that `npm run bench` takes are those of benches; parts of one are named to it alone.
  const isPart = words.some((word) => !word.startsWith('-'));
  if (isPart) return ['node scripts/bun.mjs', `bench/${bench}.ts`, ...words].join(' ');
  return ['npm run bench --', bench, ...words].join(' ');
}

function readMachine(): Machine {
  const cores = cpus();
  // What follows the numbers of a kernel's release is whoever built it.
  const version = /^\d+(\.\d+)*/.exec(release())?.[0] ?? '';
  return {
    cpu: (cores[0]?.model ?? 'unknown').replaceAll(/\s+/g, ' ').trim(),
    cores: cores.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${platform() === 'linux' ? 'Linux' : platform()} ${version} ${arch()}`,
  };
}
