/** Who counts what calls of models cost and how long they last, as those who make them see it. */

export interface TokenCounts {
  /** Those of `cachedTokens` included. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** 0 for embeddings. */
  readonly completionTokens: number;
}

/** Whose call it is, and of whom. */
export interface MeteredCall {
  readonly tenant: string;
  /** The server's key that the request came with; null where there is none. */
  readonly keyId: string | null;
  /** Who was chosen to answer. */
  readonly provider: string;
  readonly kind: 'completion' | 'embedding';
  /** Of the request's body: what is asked is guessed from it where nobody counts. Absent: not known. */
  readonly requestBytes?: number;
}

/** None of it throws. */
export interface CallMeter {
  /** Another one answers, because the chosen one could not. */
  answeredBy(provider: string): void;
  /** What the provider counted; called at most once for each answer. */
  usage(counts: TokenCounts): void;
  /** The reply that is streamed to whoever asked. */
  readonly stream: StreamMeter;
}

export interface StreamMeter {
  /** Bytes are asked for. Idempotent. */
  begin(): void;
  /** Bytes that are handed on. */
  piece(bytes: number): void;
  /** However it ended. Idempotent; nothing happens before `begin`. */
  end(): void;
}

export type BeginCall = (call: MeteredCall) => CallMeter;
