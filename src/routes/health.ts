/** `/health` (the process lives) and `/ready` (the store answers; which providers do not is told beside it). */

import type { Elysia } from 'elysia';
import { ApiError } from '../errors.ts';
import type { CircuitView } from '../providers/outbound/circuit.ts';
import type { RouteDeps } from './route-deps.ts';

const RETRY_AFTER_MS = 1_000;

export function registerHealth(app: Elysia, deps: RouteDeps): void {
  const health = () => ({ status: 'ok' });
  app
    .get('/health', health)
    .get('/v1/health', health)
    .get('/ready', async () => {
      try {
        await deps.store.ping();
        return { status: 'ready', store: deps.store.engine, providers: deps.getCircuits().map(toDetail) };
      } catch (cause) {
        throw new ApiError('service_unavailable', 'The store does not answer.', {
          cause,
          retryAfterMs: RETRY_AFTER_MS,
        });
      }
    });
}

/** A provider that fails makes no server unready: others may answer, and so does everything that needs no model. */
function toDetail({ provider, host, use, state, failures, retryAfterMs }: CircuitView) {
  return { provider, host, use, circuit: state, failures, retry_after_ms: retryAfterMs };
}
