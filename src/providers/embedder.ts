/**
 * The embedder port: texts to vectors, beside the provider port. Credentials are bound when an embedder is resolved,
 * and forgotten with it.
 */

/** What a vector store remembers of the model that its vectors came from. */
export interface EmbeddingModel {
  /** As the request or the configuration named it: `text-embedding-3-large`, `understudy/rehearsal`. */
  readonly model: string;
  /** What was asked of the model; null: its own. */
  readonly dimensions: number | null;
}

export interface EmbedCall {
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** Whose texts they are, for counting. */
  readonly tenant: string;
  /** The server's key that the request came with; null where there is none. */
  readonly keyId: string | null;
}

export interface Embedder extends EmbeddingModel {
  /** Whether a request's headers named the key, the address or fields for the model, which nobody else knows. */
  readonly fromRequest: boolean;
  /** Texts that one call of the model may bring. */
  readonly batchTextsMax: number;
  /** Tokens that one call may bring, all texts together. */
  readonly batchTokensMax: number;
  /** Tokens that one text may have; longer ones are embedded in windows and averaged by length. */
  readonly textTokensMax: number;

  /**
   * The vector of each text, in the order of the texts whatever the order of the answers, each of unit length.
   * Any number of texts: they are sent in batches. Errors: `ProviderError`, also where an answer lacks a vector, or one
   * is zero, not finite or of another length than the others; after `signal` aborts, its reason.
   */
  embed(texts: readonly string[], options: EmbedCall): Promise<readonly Float32Array[]>;
}
