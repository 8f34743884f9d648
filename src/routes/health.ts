/** `/health` (the process lives) and `/ready` (the store answers). */

import type { Elysia } from 'elysia';
import { ApiError } from '../errors.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerHealth(app: Elysia, deps: RouteDeps): void {
  const health = () => ({ status: 'ok' });
  app
    .get('/health', health)
    .get('/v1/health', health)
    .get('/ready', async () => {
      try {
        await deps.store.ping();
        return { status: 'ready', store: deps.store.engine };
      } catch (cause) {
        throw new ApiError('service_unavailable', 'The store does not answer.', { cause });
      }
    });
}
