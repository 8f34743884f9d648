/** Calls of models: their tokens, and every call that leaves the server. */

import type { BeginCall, CallMeter, MeteredCall, StreamMeter, TokenCounts } from '../providers/call-meter.ts';
import type { CircuitView } from '../providers/outbound/circuit.ts';
import type { OutboundCall } from '../providers/outbound/upstream.ts';
import type { Counter, Distribution, Metrics } from './metrics.ts';
import type { MeterStream } from './stream-metrics.ts';
import type { UsageMeter } from './usage-meter.ts';

/** Whatever is told of a call by its provider goes to `usage`. */
export function createCallMeters(usage: UsageMeter, meterStream: MeterStream): BeginCall {
  return (call) => new CountedCall(call, usage, meterStream);
}

/** What a token takes of a request, and of a stream, where it is framed. */
const REQUEST_BYTES_PER_TOKEN = 4;
const STREAM_BYTES_PER_TOKEN = 200;
/** Beyond it there are pictures in the request, whose bytes say nothing of their tokens. */
const GUESSED_PROMPT_MAX = 32_768;

/** A class: there is one for each call, and most of them do not stream. */
class CountedCall implements CallMeter {
  readonly #call: MeteredCall;
  readonly #usage: UsageMeter;
  readonly #meterStream: MeterStream;
  readonly #askedMs = performance.now();
  #provider: string;
  #stream: StreamMeter | null = null;
  #isCounted = false;

  constructor(call: MeteredCall, usage: UsageMeter, meterStream: MeterStream) {
    this.#call = call;
    this.#usage = usage;
    this.#meterStream = meterStream;
    this.#provider = call.provider;
  }

  get stream(): StreamMeter {
    this.#stream ??= this.#watch(this.#meterStream(this.#askedMs));
    return this.#stream;
  }

  /** A stream that ends without a count has cost something all the same. */
  #watch(stream: StreamMeter): StreamMeter {
    let bytesSent = 0;
    return {
      begin: () => stream.begin(),
      piece(bytes) {
        bytesSent += bytes;
        stream.piece(bytes);
      },
      end: () => {
        stream.end();
        if (bytesSent > 0) this.#guess(bytesSent);
      },
    };
  }

  #guess(bytesSent: number): void {
    if (this.#isCounted) return;
    this.#isCounted = true;
    const { tenant, keyId, kind, requestBytes = 0 } = this.#call;
    const promptTokens = Math.min(GUESSED_PROMPT_MAX, Math.ceil(requestBytes / REQUEST_BYTES_PER_TOKEN));
    const completionTokens = Math.ceil(bytesSent / STREAM_BYTES_PER_TOKEN);
    const counts = { promptTokens, cachedTokens: 0, completionTokens };
    this.#usage.note({ tenant, keyId, provider: this.#provider, kind, ...counts, isGuessed: true });
  }

  answeredBy(provider: string): void {
    this.#provider = provider;
  }

  usage(counts: TokenCounts): void {
    this.#isCounted = true;
    const { tenant, keyId, kind } = this.#call;
    const { promptTokens, cachedTokens, completionTokens } = counts;
    const provider = this.#provider;
    this.#usage.note({ tenant, keyId, provider, kind, promptTokens, cachedTokens, completionTokens });
  }
}

interface OutboundCells {
  readonly calls: Counter;
  readonly seconds: Distribution;
}

export function createOutboundMeter(metrics: Metrics): (call: OutboundCall) => void {
  // Names of providers are the catalogue's and the operator's, and all else is one of a few: there are not many of them.
  const known = new Map<string, OutboundCells>();
  return ({ provider, use, outcome, durationMs }) => {
    const key = `${use} ${outcome} ${provider}`;
    const cells = known.get(key) ?? {
      calls: metrics.counter('understudy_provider_calls_total', { provider, use, outcome }),
      seconds: metrics.distribution('understudy_provider_call_duration_seconds', { provider, use }),
    };
    known.set(key, cells);
    cells.calls.add();
    // What was never sent took no time.
    if (outcome !== 'refused') cells.seconds.observe(durationMs / 1000);
  };
}

export interface CircuitMeter {
  changed(view: Pick<CircuitView, 'provider' | 'state'>): void;
  /** Brings the number of open ones up to date. */
  sample(circuits: readonly Pick<CircuitView, 'provider' | 'state'>[]): void;
}

export function createCircuitMeter(metrics: Metrics): CircuitMeter {
  const known = new Set<string>();
  return {
    changed({ provider, state }) {
      metrics.counter('understudy_provider_circuit_changes_total', { provider, state }).add();
    },
    sample(circuits) {
      const open = circuits.filter(({ state }) => state !== 'closed').map(({ provider }) => provider);
      for (const provider of open) known.add(provider);
      for (const provider of known) {
        const count = open.filter((one) => one === provider).length;
        metrics.gauge('understudy_provider_circuits_open', { provider }).set(count);
      }
    },
  };
}
