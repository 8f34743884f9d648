/** The chart, rendered by Helm's own packages and read by Kubernetes' own types: a Go program beside this file does both. */

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dir, '../..');
const PROGRAM = join(import.meta.dir, 'chart');
/** The first time, the packages are fetched and compiled. */
export const RENDER_MS = 9 * 60_000;
/** With this, what cannot be tested has failed. */
const REQUIRED_VARIABLE = 'REQUIRE_HELM';

// biome-ignore lint/suspicious/noExplicitAny: tests look into manifests of any shape.
export type Manifest = any;

export interface Rendered {
  /** Why the chart refuses the values; empty where it does not. */
  readonly refusal: string;
  /** What is wrong with the manifests. */
  readonly faults: readonly string[] | null;
  readonly manifests: readonly Manifest[] | null;
  readonly notes: string;
}

/** Null where Go is here. Throws where it is not, and must be. */
export function findHindrance(): string | null {
  const { status } = spawnSync(toGo(), ['version'], { stdio: 'ignore' });
  if (status === 0) return null;
  if (process.env[REQUIRED_VARIABLE] === '1') throw new Error(`${REQUIRED_VARIABLE}=1: there is no Go here.`);
  return 'there is no Go here';
}

/** `go` of the search path, or where its own installer puts it. */
function toGo(): string {
  return Bun.which('go') ?? Bun.which('go', { PATH: '/usr/local/go/bin' }) ?? 'go';
}

export function renderChart(cases: Readonly<Record<string, object>>): Readonly<Record<string, Rendered>> {
  const { status, stdout, stderr } = spawnSync(toGo(), ['run', '.'], {
    cwd: PROGRAM,
    input: JSON.stringify({ chart: join(ROOT, 'deploy/helm/understudy'), cases }),
    encoding: 'utf8',
    timeout: RENDER_MS,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, GOFLAGS: '-mod=readonly' },
  });
  if (status !== 0) throw new Error(`The chart cannot be rendered: ${stderr.slice(-4000)}`);
  return JSON.parse(stdout);
}
