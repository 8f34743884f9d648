import type { Ports } from '../ports.ts';
import type { RunEngine } from '../runs/run-engine.ts';
import type { RequestDeps } from './request.ts';

/**
 * What the routes are handed. Handlers are registered with `parse: 'none'`: they read the body themselves, with a
 * bound, and with OpenAI's errors.
 */
export type RouteDeps = Ports & RequestDeps & { readonly runs: RunEngine };
