/** Where a piece of work stands in a trace, and its form in headers: https://www.w3.org/TR/trace-context/ */

export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0: whoever asked. */
  readonly spanId: string;
  /** Whether whoever began the trace keeps it. */
  readonly isSampled: boolean;
}

export const TRACEPARENT_HEADER = 'traceparent';

/** Versions to come may add parts behind these. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_VERSION = 'ff';
const FIRST_VERSION = '00';
const SAMPLED = 1;

/** Null for what is no such header, as the standard asks: the trace begins anew. */
export function parseTraceparent(text: string | null | undefined): TraceContext | null {
  const found = TRACEPARENT.exec(text ?? '');
  if (found === null) return null;
  const [, version, traceId = '', spanId = '', flags = '', rest] = found;
  if (version === NO_VERSION || (version === FIRST_VERSION && rest !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

export function toTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `${FIRST_VERSION}-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}
