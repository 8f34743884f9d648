/**
 * Circuits: a provider that has failed many times in a row is left alone for a while.
 *
 * One circuit a provider, host and use: an embedding model that crashes its server's worker says nothing of the chats beside it. Failures are those of the server as such: no connection, no answer in time, 5xx. While a
 * circuit is open, calls are refused at once. Afterwards one call is let through to look; when it works the circuit closes,
 * when it fails the circuit is open for twice as long as before.
 */

import type { Clock } from '../../clock.ts';
import { ProviderError } from '../provider.ts';

export interface CircuitPolicy {
  /** Failures in a row that open a circuit. */
  readonly failuresMax: number;
  /** How long it is open at first; doubled for each look that fails. */
  readonly openMs: number;
  readonly openMaxMs: number;
}

export const CIRCUIT_POLICY: CircuitPolicy = Object.freeze({
  failuresMax: 10,
  openMs: 5_000,
  openMaxMs: 60_000,
});

export type CircuitState = 'closed' | 'open' | 'half_open';

/** What a server is called for. */
export type CircuitUse = 'embeddings' | 'other';

/** What may be shown of a circuit: no path, no key. */
export interface CircuitView {
  readonly provider: string;
  /** With its port, where that is not the scheme's own. */
  readonly host: string;
  readonly use: CircuitUse;
  readonly state: CircuitState;
  /** Failures in a row, up to now. */
  readonly failures: number;
  /** Until a call is let through; 0 unless open. */
  readonly retryAfterMs: number;
}

export type CallVerdict =
  | 'success'
  | 'failure'
  /** Says nothing of the server: whoever asked has left. */
  | 'none';

export interface Circuits {
  /**
   * To be asked before each call. Answers what is to be called once with the call's outcome, or throws
   * `ProviderError` (`unavailable`) while the circuit is open.
   */
  enter(provider: string, host: string, use: CircuitUse): (verdict: CallVerdict) => void;
  /** Every circuit that is not closed, or has failures on its account. */
  list(): readonly CircuitView[];
}

/** Circuits remembered: only servers that failed last have one. */
const CIRCUITS_MAX = 1024;

interface Circuit extends Pick<CircuitView, 'provider' | 'host' | 'use'> {
  failures: number;
  /** How long it was opened for last; 0 while it is closed. */
  openMs: number;
  /** When the next call is let through; meaningless while it is closed. */
  nextLookMs: number;
  isLooking: boolean;
}

export function createCircuits(deps: {
  readonly clock: Clock;
  readonly policy?: CircuitPolicy;
  readonly onChange?: (view: CircuitView) => void;
}): Circuits {
  const { clock, policy = CIRCUIT_POLICY, onChange } = deps;
  const circuits = new Map<string, Circuit>();

  const open = (circuit: Circuit, openMs: number): void => {
    circuit.openMs = openMs;
    circuit.nextLookMs = clock.nowMs() + openMs;
    circuit.isLooking = false;
    onChange?.(toView(circuit, clock.nowMs()));
  };

  const takeFailure = (key: string, which: Parameters<Circuits['enter']>, wasLook: boolean): void => {
    const [provider, host, use] = which;
    const circuit = circuits.get(key) ?? {
      provider,
      host,
      use,
      failures: 0,
      openMs: 0,
      nextLookMs: 0,
      isLooking: false,
    };
    if (!circuits.has(key)) remember(circuits, key, circuit);
    circuit.failures += 1;
    const isOpen = circuit.openMs > 0;
    if (isOpen && wasLook) open(circuit, Math.min(circuit.openMs * 2, policy.openMaxMs));
    else if (!isOpen && circuit.failures >= policy.failuresMax) open(circuit, policy.openMs);
  };

  const takeSuccess = (key: string): void => {
    const circuit = circuits.get(key);
    if (circuit === undefined) return;
    circuits.delete(key);
    if (circuit.openMs > 0) {
      onChange?.({ ...toView(circuit, clock.nowMs()), state: 'closed', failures: 0, retryAfterMs: 0 });
    }
  };

  return {
    enter(...which) {
      const key = which.join(' ');
      const isLook = admit(circuits.get(key), clock.nowMs());
      let isSettled = false;
      return (verdict) => {
        if (isSettled) return;
        isSettled = true;
        if (verdict === 'success') takeSuccess(key);
        else if (verdict === 'failure') takeFailure(key, which, isLook);
        else if (isLook) allowNextLook(circuits.get(key), clock.nowMs());
      };
    },
    list: () => [...circuits.values()].map((circuit) => toView(circuit, clock.nowMs())),
  };
}

/** Whether the call is the one that looks. Throws while there is no call to be made. */
function admit(circuit: Circuit | undefined, nowMs: number): boolean {
  if (circuit === undefined || circuit.openMs === 0) return false;
  const waitMs = circuit.nextLookMs - nowMs;
  // A longer wait than was set means that the clock has been put back.
  if (waitMs > 0 && waitMs <= circuit.openMs) throw refuse(circuit, waitMs);
  // A model may think for minutes before it answers: when the one that looks has no answer by then, another one may.
  circuit.nextLookMs = nowMs + circuit.openMs;
  circuit.isLooking = true;
  return true;
}

/** The one that looked has left without an answer. */
function allowNextLook(circuit: Circuit | undefined, nowMs: number): void {
  if (circuit === undefined || circuit.openMs === 0) return;
  circuit.nextLookMs = nowMs;
  circuit.isLooking = false;
}

function refuse(circuit: Circuit, waitMs: number): ProviderError {
  return new ProviderError(
    'unavailable',
    `The model's server at ${circuit.host} (${circuit.provider}) has failed ${circuit.failures} times in a row and is ` +
      'left alone for a moment. Try again later.',
    { retryAfterMs: waitMs, isRetryable: true },
  );
}

function toView(circuit: Circuit, nowMs: number): CircuitView {
  const isOpen = circuit.openMs > 0;
  const waitMs = isOpen ? Math.max(0, circuit.nextLookMs - nowMs) : 0;
  const state = !isOpen ? 'closed' : circuit.isLooking || waitMs === 0 ? 'half_open' : 'open';
  return {
    provider: circuit.provider,
    host: circuit.host,
    use: circuit.use,
    state,
    failures: circuit.failures,
    retryAfterMs: waitMs,
  };
}

function remember(circuits: Map<string, Circuit>, key: string, circuit: Circuit): void {
  const [oldest] = circuits.keys();
  if (circuits.size >= CIRCUITS_MAX && oldest !== undefined) circuits.delete(oldest);
  circuits.set(key, circuit);
}
