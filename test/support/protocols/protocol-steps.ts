/** What a scripted provider with a protocol of its own can be told besides the steps of `upstream-steps.ts`. */

import type { Step } from '../upstream-steps.ts';

/** Neutral counts: each protocol writes them in its own way, some leave parts out. */
export interface Counts {
  /** Cached ones included. */
  readonly prompt: number;
  /** Thoughts included. */
  readonly completion: number;
  readonly cached: number;
  readonly thoughts: number;
}

export type ProtocolStep =
  | Step
  | { readonly kind: 'counts'; readonly counts: Counts }
  /** The signature of the thoughts before it, or of the call behind it. */
  | { readonly kind: 'signature'; readonly value: string }
  /** The provider's error amid a stream, in the form in which it sends one. */
  | { readonly kind: 'fault'; readonly message: string }
  /** An error in the provider's own form, before any answer. */
  | {
      readonly kind: 'refusal-status';
      readonly status: number;
      readonly message: string;
      readonly retrySeconds: number | null;
      readonly times: number;
    };

export function count(counts: Partial<Counts>): ProtocolStep {
  return { kind: 'counts', counts: { prompt: 10, completion: 5, cached: 0, thoughts: 0, ...counts } };
}

export function sign(value: string): ProtocolStep {
  return { kind: 'signature', value };
}

export function breakWith(message: string): ProtocolStep {
  return { kind: 'fault', message };
}

/** `times`: only so many requests get it; the next ones go on with the step behind it. */
export function failAs(
  status: number,
  options: { message?: string; retrySeconds?: number; times?: number } = {},
): ProtocolStep {
  return {
    kind: 'refusal-status',
    status,
    message: options.message ?? `Scripted failure ${status}.`,
    retrySeconds: options.retrySeconds ?? null,
    times: options.times ?? Number.POSITIVE_INFINITY,
  };
}
