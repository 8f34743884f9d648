/** `understudy copy`: from the words of the command line to an exit code. */

import { ConfigError } from '../config/config.ts';
import { copyTenant, type MoveDeps } from './copier.ts';
import { toComparisonReport, toCopyReport } from './copy-report.ts';
import type { CopyRequest } from './copy-request.ts';
import type { EndpointEnvironment } from './endpoint.ts';
import { type Endpoint, EndpointError, type FoundEndpoint } from './endpoint.ts';
import { findEndpoint } from './endpoint-schemes.ts';
import { COMPARING, COPYING, createProgress, type Progress } from './progress.ts';
import { compareTenants } from './verifier.ts';

export const EXIT_SAME = 0;
export const EXIT_DIFFERENT = 1;
/** As a shell names the end by Ctrl-C. */
export const EXIT_INTERRUPTED = 130;

export interface CopyOutput {
  /** What came of it. */
  readonly writeReport: (text: string) => void;
  /** How it goes. */
  readonly progress: { readonly isTerminal: boolean; write(text: string): void };
}

/** Answers the exit code. `signal` ends it cleanly. Errors: `ConfigError`, `StoreError`. */
export async function runCopy(
  request: CopyRequest,
  env: EndpointEnvironment,
  output: CopyOutput,
  signal: AbortSignal,
): Promise<number> {
  const ends = findEnds(request, env);
  const opened: Endpoint[] = [];
  const progress = createProgress(output.progress);
  try {
    const source = await openEnd(ends.source, opened);
    const destination = await openEnd(ends.destination, opened);
    const deps: MoveDeps = { source, destination, tenant: request.tenant, progress, signal };
    return await move(deps, request, output);
  } catch (error) {
    if (!signal.aborted) throw error;
    progress.say(
      request.isVerifyOnly
        ? 'Interrupted.'
        : 'Interrupted. Call the same command again, and it goes on from here.',
    );
    return EXIT_INTERRUPTED;
  } finally {
    progress.stop();
    for (const end of opened) await end.close();
  }
}

async function move(deps: MoveDeps, request: CopyRequest, output: CopyOutput): Promise<number> {
  const { source, destination, tenant, progress } = deps;
  if (!request.isVerifyOnly) {
    const sinceMs = performance.now();
    progress.begin(COPYING);
    await copyTenant(deps);
    report(progress, output, toCopyReport(deps, progress.counts, performance.now() - sinceMs));
  }
  progress.begin(COMPARING);
  const comparison = await compareTenants(deps);
  const isEmpty = comparison.rows.length === 0;
  if (isEmpty) {
    report(
      progress,
      output,
      `There is nothing of a tenant '${tenant}', in ${source.name} or ${destination.name}.\n`,
    );
    return EXIT_DIFFERENT;
  }
  report(progress, output, toComparisonReport(comparison));
  return comparison.differenceCount === 0 ? EXIT_SAME : EXIT_DIFFERENT;
}

function report(progress: Progress, output: CopyOutput, text: string): void {
  progress.pause();
  output.writeReport(text);
}

/** Errors: `ConfigError`, all that can be said before anything is opened. */
function findEnds(
  { from, to, isVerifyOnly }: CopyRequest,
  env: EndpointEnvironment,
): { readonly source: FoundEndpoint; readonly destination: FoundEndpoint } {
  const problems: string[] = [];
  const find = (text: string, role: 'source' | 'destination', flag: string): FoundEndpoint | null => {
    try {
      return findEndpoint(text, role, env);
    } catch (error) {
      if (!(error instanceof EndpointError)) throw error;
      problems.push(`${flag}: ${error.message}`);
      return null;
    }
  };
  const source = find(from, 'source', '--from');
  // What is only compared must be there as well.
  const destination = find(to, isVerifyOnly ? 'source' : 'destination', '--to');
  if (source !== null && source.name === destination?.name) {
    problems.push(`--from and --to are the same store, ${source.name}.`);
  }
  if (problems.length > 0 || source === null || destination === null) throw new ConfigError(problems);
  return { source, destination };
}

async function openEnd(found: FoundEndpoint, opened: Endpoint[]): Promise<Endpoint> {
  const end = await found.open();
  opened.push(end);
  return end;
}
