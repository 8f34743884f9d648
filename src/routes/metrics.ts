/** `/metrics`: the numbers of all processes of this server, for Prometheus. Not a part of the API. */

import type { Elysia } from 'elysia';
import { ApiError } from '../errors.ts';
import { CONTENT_TYPES, chooseFormat } from '../metrics/exposition.ts';
import type { RouteDeps } from './route-deps.ts';

const RETRY_AFTER_MS = 1_000;

export function registerMetrics(app: Elysia, deps: RouteDeps): void {
  app.get('/metrics', async ({ request, set }) => {
    await deps.checkMetricsAccess(request);
    const format = chooseFormat(request.headers.get('accept'));
    try {
      const page = await deps.renderMetrics(format);
      set.headers['content-type'] = CONTENT_TYPES[format];
      return page;
    } catch (cause) {
      throw new ApiError('service_unavailable', 'The numbers of all workers cannot be had now.', {
        cause,
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
  });
}
