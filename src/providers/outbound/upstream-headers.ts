/** What goes out with a call, and nothing else: no header of a client's request gets to a model's server unnamed. */

import { ProviderError, type UpstreamStyle } from '../provider.ts';

/** Headers that adapters of other protocols may set; what they hand in besides stays here. */
const PASSED_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'api-key',
  'x-api-key',
  'x-goog-api-key',
  'x-goog-user-project',
  'anthropic-version',
  'anthropic-beta',
  'openai-organization',
  'openai-project',
  'openai-beta',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
  'content-type',
]);

/** What is the connection's own, whoever asks for it. */
export const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'proxy-authorization',
  'accept-encoding',
]);

/** How OpenAI wants its key. */
const BEARER = Object.freeze({ header: 'authorization', prefix: 'Bearer ' });

export interface OutwardCall {
  readonly accept: string;
  readonly requestId: string;
  readonly traceparent?: string;
  readonly apiKey: string | null;
  readonly style?: Pick<UpstreamStyle, 'auth' | 'headers'>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly contentLength?: number | null;
}

/**
 * `contentType` is null where there is no body. Throws `ProviderError` (`authentication`) for a key that no header can hold; it is not said in
 * the message.
 */
export function toOutwardHeaders(
  call: OutwardCall,
  contentType: string | null,
  userAgent: string,
): Record<string, string> {
  const { style, headers: given, apiKey, contentLength } = call;
  const headers: Record<string, string> = {
    accept: call.accept,
    'user-agent': userAgent,
    'x-request-id': call.requestId,
  };
  if (call.traceparent !== undefined) headers.traceparent = call.traceparent;
  if (contentType !== null) headers['content-type'] = contentType;
  if (contentLength !== undefined && contentLength !== null)
    headers['content-length'] = String(contentLength);
  if (style !== undefined) addHeaders(headers, style.headers, (name) => !CONNECTION_HEADERS.has(name));
  if (given !== undefined) addHeaders(headers, given, (name) => PASSED_HEADERS.has(name));
  const auth = style === undefined ? BEARER : style.auth;
  if (apiKey !== null && auth !== null) {
    refuseUnsendable(apiKey, /^[\x21-\x7e]+$/);
    headers[auth.header.toLowerCase()] = auth.prefix + apiKey;
  }
  return headers;
}

function addHeaders(
  headers: Record<string, string>,
  further: Readonly<Record<string, string>>,
  isWanted: (name: string) => boolean,
): void {
  for (const [given, value] of Object.entries(further)) {
    const name = given.toLowerCase();
    if (!isWanted(name)) continue;
    refuseUnsendable(value, /^[\x20-\x7e]*$/);
    headers[name] = value;
  }
}

/** fetch would refuse these with an error of its own; refusing here keeps the key out of every message. */
function refuseUnsendable(value: string, pattern: RegExp): void {
  if (pattern.test(value)) return;
  throw new ProviderError('authentication', 'The API key holds characters that no key can hold.');
}
