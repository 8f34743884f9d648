/** The tables of `docs/benchmarks.md`, made from `bench/results`. */

import { type Figure, type Run, toAside, toShown } from '../../bench/support/results.ts';
import { type Measured, type Results, readResults } from './results.ts';
import { toTable } from './table.ts';

const END = '<!-- end -->';
const FIGURES = /<!-- figures: ([a-z-]+) -->[\s\S]*?<!-- end -->/g;
const RUNS = /<!-- runs -->[\s\S]*?<!-- end -->/;

/** The page with its tables as they should be. Errors: a bench that was measured and has no place, or the other way round. */
export function renewBenchmarksPage(page: string, results: Results = readResults()): string {
  const placed = [...page.matchAll(FIGURES)].map(([, bench = '']) => bench);
  const missing = results.benches.filter((bench) => !placed.includes(bench));
  if (missing.length > 0) throw new Error(`The page has no place for ${missing.join(', ')}.`);
  if (!RUNS.test(page)) throw new Error('The page has no place for the runs.');
  return page
    .replace(RUNS, () => `<!-- runs -->\n\n${toRunsText(results.runs)}\n\n${END}`)
    .replaceAll(FIGURES, (_, bench: string) => {
      const table = toFiguresTable(results.list(bench), bench);
      return `<!-- figures: ${bench} -->\n\n${table}\n\n${END}`;
    });
}

function toFiguresTable(measured: readonly Measured[], bench: string): string {
  if (measured.length === 0) return `Not measured yet: \`npm run bench -- ${bench} --save\`.`;
  const rows = measured.map(({ figure, run }) => [
    figure.what,
    `${toShown(figure.value, figure.unit)}${run.quick ? ' (quick run)' : ''}`,
    toAside(figure),
    toAimText(figure),
  ]);
  return toTable(['what', 'measured', 'beside it', 'aim'], rows);
}

function toAimText({ aim, reached, unit }: Figure): string {
  if (aim === undefined) return '';
  return `${aim.is} ${toShown(aim.value, unit)}${reached === true ? '' : ': **missed**'}`;
}

/** The machines, then every call with what it ran with. */
function toRunsText(runs: readonly Run[]): string {
  const machines = [...new Set(runs.map(({ machine }) => JSON.stringify(machine)))].sort();
  const toMachineText = (text: string, at: number): string => {
    const { cpu, cores, memoryGib, system } = JSON.parse(text) as Run['machine'];
    const name = machines.length > 1 ? `Machine ${at + 1}` : 'The machine';
    return `- ${name}: ${cpu}, ${cores} cores, ${memoryGib} GiB of memory, ${system}`;
  };
  const rows = runs.map(({ command, date, quick, versions, machine }) => [
    `\`${command}\``,
    `${date}${quick ? ', a quick run' : ''}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    ...(machines.length > 1 ? [String(machines.indexOf(JSON.stringify(machine)) + 1)] : []),
  ]);
  const head = ['command', 'when', 'versions', ...(machines.length > 1 ? ['machine'] : [])];
  return `${machines.map(toMachineText).join('\n')}\n\n${toTable(head, rows)}`;
}
