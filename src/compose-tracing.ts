/** Traces: to the collector that is configured, or to nobody. */

import type { Log } from './log.ts';
import type { OtlpSettings } from './tracing/otlp-tracing.ts';
import { NO_TRACING, type Tracing } from './tracing/tracing.ts';

/** The packages for collectors are loaded where there is one only. */
export async function openTracing(
  settings: OtlpSettings | null,
  deps: { readonly version: string; readonly log: Log },
): Promise<Tracing> {
  if (settings === null) return NO_TRACING;
  const { createOtlpTracing } = await import('./tracing/otlp-tracing.ts');
  return createOtlpTracing(settings, deps);
}
