/** The port for traces: what took how long, and because of what. */

import type { TraceContext } from './trace-context.ts';

/** Names and values by OpenTelemetry's conventions. No text of messages, no key. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Span {
  /** For whatever is done because of it; null where nobody traces. */
  readonly context: TraceContext | null;
  set(attributes: Attributes): void;
  rename(name: string): void;
  /** `problem` says in a word what went wrong; nothing of a request. Only the first call counts. */
  end(problem?: string | null): void;
}

export type SpanKind = 'internal' | 'server' | 'client';

export interface SpanStart {
  /** Internal unless said. */
  readonly kind?: SpanKind;
  /** Null or absent: a trace of its own. */
  readonly parent?: TraceContext | null;
  readonly attributes?: Attributes;
}

/** Starts spans below one that is known. */
export type StartSpan = (name: string, start?: Omit<SpanStart, 'parent'>) => Span;

/** Never fails and never waits. */
export interface Tracing {
  start(name: string, start?: SpanStart): Span;
  /** Hands on what is still here, for as long as a few seconds. */
  close(): Promise<void>;
}

export function toStartSpan(tracing: Tracing, parent: TraceContext | null): StartSpan {
  return (name, start = {}) => tracing.start(name, { ...start, parent });
}

const NO_SPAN: Span = Object.freeze({
  context: null,
  set: () => undefined,
  rename: () => undefined,
  end: () => undefined,
});

/** Where no collector is configured. */
export const NO_TRACING: Tracing = Object.freeze({
  start: () => NO_SPAN,
  close: async () => undefined,
});

/** Whoever traces nothing. */
export const startNoSpan: StartSpan = () => NO_SPAN;
