/**
 * The spans of a run, named by OpenTelemetry's conventions for generative AI:
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/ . Nothing of what anybody said is in them.
 */

import { ProviderError, type ResolvedModel, toProviderName } from '../providers/provider.ts';
import { parseTraceparent, toTraceparent } from '../tracing/trace-context.ts';
import type { Attributes, Span, StartSpan, Tracing } from '../tracing/tracing.ts';
import type { RunEvent } from './events.ts';
import type { RunRecord } from './run-records.ts';

const OPERATION = 'gen_ai.operation.name';

/** The work of one process on a run. All of a run are below the request that it was made by, whoever goes on with it. */
export function beginRunSpan(tracing: Tracing, run: RunRecord): Span {
  const parent = parseTraceparent(run.internal.trace);
  const attributes = {
    [OPERATION]: 'invoke_agent',
    'gen_ai.agent.id': run.assistant_id,
    'gen_ai.conversation.id': run.thread_id,
    'gen_ai.request.model': run.model,
    'understudy.run.id': run.id,
    'understudy.run.attempts': run.internal.attempts,
  };
  return tracing.start('invoke_agent', { parent, attributes });
}

const ENDED_BADLY: ReadonlySet<RunEvent['event']> = new Set([
  'thread.run.failed',
  'thread.run.incomplete',
  'thread.run.expired',
]);

/** `last` is the last event of the work; null: it broke off. */
export function endRunSpan(span: Span, last: RunEvent['event'] | null): void {
  if (last === null) {
    span.end('stopped');
    return;
  }
  const status = last.slice(last.lastIndexOf('.') + 1);
  span.set({ 'understudy.run.status': status });
  span.end(ENDED_BADLY.has(last) ? status : null);
}

/** A question to a model, and what it cost. */
export function beginChatSpan(startSpan: StartSpan, resolved: ResolvedModel): Span {
  return startSpan(`chat ${resolved.model}`, {
    kind: 'client',
    attributes: toModelAttributes('chat', resolved),
  });
}

export function toModelAttributes(operation: string, resolved: ResolvedModel): Attributes {
  return {
    [OPERATION]: operation,
    'gen_ai.provider.name': toProviderName(resolved),
    'gen_ai.request.model': resolved.model,
  };
}

export function toUsageAttributes(usage: {
  readonly promptTokens: number;
  readonly completionTokens: number;
}): Attributes {
  return {
    'gen_ai.usage.input_tokens': usage.promptTokens,
    'gen_ai.usage.output_tokens': usage.completionTokens,
  };
}

/** What goes along with a call, so that a model's server that traces goes on with the trace. */
export function toCallTrace({ context }: Span): { readonly traceparent?: string } {
  return context === null ? {} : { traceparent: toTraceparent(context) };
}

/** In a word, for whoever counts errors by their kind. */
export function toSpanProblem(error: unknown): string {
  if (error instanceof ProviderError) return error.kind;
  return error instanceof Error ? error.name : 'unknown';
}
