/** Access tokens of IBM Cloud for an API key. */

import type { Clock } from '../../clock.ts';
import { parseJson, toRecord, toText } from '../json-values.ts';
import { toStatusError } from '../openai/error-mapping.ts';
import { type AccessToken, createTokenCache } from '../outbound/token-cache.ts';
import type { Upstream } from '../outbound/upstream.ts';
import { type CallOptions, ProviderError } from '../provider.ts';

export const IAM_TOKEN_URL = 'https://iam.cloud.ibm.com/identity/token';

const GRANT_TYPE = 'urn:ibm:params:oauth:grant-type:apikey';
const TOKEN_BYTES_MAX = 64 * 1024;

export interface IamTokens {
  /** Throws `ProviderError`: `authentication` for a key that is of no use. */
  getToken(apiKey: string, call: CallOptions): Promise<string>;
}

export interface IamTokenDeps {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly tokenUrl?: string;
}

export function createIamTokens({ upstream, clock, tokenUrl = IAM_TOKEN_URL }: IamTokenDeps): IamTokens {
  const cache = createTokenCache(clock);

  const fetchToken = async (apiKey: string, { requestId, signal }: CallOptions): Promise<AccessToken> => {
    const answer = await upstream({
      method: 'POST',
      url: tokenUrl,
      apiKey: null,
      accept: 'application/json',
      contentType: 'application/x-www-form-urlencoded',
      body: new URLSearchParams({ grant_type: GRANT_TYPE, apikey: apiKey }).toString(),
      requestId,
      signal,
    });
    const text = await answer.readText(TOKEN_BYTES_MAX);
    if (answer.status >= 400) throw toTokenError(answer.status, answer.headers, text, apiKey, clock.nowMs());
    return toToken(parseJson(text), clock.nowMs());
  };

  return { getToken: (apiKey, call) => cache.get(apiKey, () => fetchToken(apiKey, call)) };
}

/** `{errorCode: "BXNIM0415E", errorMessage: "Provided API key could not be found."}`, with status 400. */
function toTokenError(
  status: number,
  headers: Headers,
  text: string,
  apiKey: string,
  nowMs: number,
): ProviderError {
  const fault = toRecord(parseJson(text));
  const message = toText(fault?.errorMessage);
  const isRefusal = status === 400 || status === 401 || status === 403;
  const error = { message, code: isRefusal ? 'invalid_api_key' : toText(fault?.errorCode) };
  return toStatusError(
    { status, headers, text: message === null ? text : JSON.stringify({ error }) },
    { apiKey, nowMs },
  );
}

function toToken(value: unknown, nowMs: number): AccessToken {
  const reply = toRecord(value);
  const text = toText(reply?.access_token);
  if (text === null) throw new ProviderError('protocol', 'IBM Cloud answered with no access token.');
  const seconds = typeof reply?.expires_in === 'number' ? reply.expires_in : 0;
  return { text, expiresMs: nowMs + seconds * 1000 };
}
