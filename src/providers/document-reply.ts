/** What a provider answers to a request that is handed through. */

import type { TokenCounts } from './call-meter.ts';

/** A stream, or a document that somebody made a response of. */
export type RelayReply = Response | DocumentReply;

const JSON_TYPE = 'application/json';

/**
 * A document of JSON as text, with the part of a `Response` that is read of it: making one, and reading it again, costs more than all else
 * that is done with the text.
 */
export class DocumentReply {
  readonly status: number;
  readonly document: string;
  readonly contentType = JSON_TYPE;

  /** What the document says of its tokens; null where it says nothing. */
  readonly usage: TokenCounts | null;

  constructor(status: number, document: string, usage: TokenCounts | null) {
    this.status = status;
    this.document = document;
    this.usage = usage;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  get headers(): Headers {
    return new Headers({ 'content-type': this.contentType });
  }

  text(): Promise<string> {
    return Promise.resolve(this.document);
  }

  async json(): Promise<unknown> {
    return JSON.parse(this.document);
  }
}
