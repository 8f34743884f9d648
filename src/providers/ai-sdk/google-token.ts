/**
 * Access tokens of Google Cloud, for the credentials that people download: a service account's key, or what
 * `gcloud auth application-default login` leaves.
 */

import { createSign } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { type JsonRecord, parseJson, toRecord, toText } from '../json-values.ts';
import { type AccessToken, createTokenCache } from '../outbound/token-cache.ts';
import type { Upstream } from '../outbound/upstream.ts';
import { type CallOptions, ProviderError } from '../provider.ts';
import { sendUpstream } from './upstream-fetch.ts';

/** The one address: what credentials say of it themselves is not followed, for whoever sends them could send others. */
export const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const ASSERTION_SECONDS = 3600;
const TOKEN_BYTES_MAX = 64 * 1024;

export interface GoogleTokens {
  /** Throws `ProviderError`: `authentication` for credentials that are of no use. */
  getToken(credentials: string, call: CallOptions): Promise<string>;
}

export interface GoogleTokenDeps {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly tokenUrl?: string;
}

export function createGoogleTokens({
  upstream,
  clock,
  tokenUrl = GOOGLE_TOKEN_URL,
}: GoogleTokenDeps): GoogleTokens {
  const cache = createTokenCache(clock);

  const fetchToken = async (credentials: string, call: CallOptions): Promise<AccessToken> => {
    const form = toForm(parseCredentials(credentials), tokenUrl, clock.nowMs());
    // Google's own address is called, whatever address the model is to be called at.
    const { baseUrlFromRequest: _, style: __, ...own } = call.credentials;
    const answer = await sendUpstream(
      { upstream, clock, provider: 'google-oauth' },
      {
        method: 'POST',
        url: tokenUrl,
        accept: 'application/json',
        headers: {},
        contentType: 'application/x-www-form-urlencoded',
        body: form.toString(),
      },
      { ...call, credentials: own },
    );
    return toToken(parseJson(await answer.readText(TOKEN_BYTES_MAX)), clock.nowMs());
  };

  return {
    getToken: (credentials, call) => cache.get(credentials, () => fetchToken(credentials, call)),
  };
}

function parseCredentials(text: string): JsonRecord {
  const record = toRecord(parseJson(text));
  if (record === null) throw refuse('they are no JSON');
  return record;
}

function toForm(credentials: JsonRecord, tokenUrl: string, nowMs: number): URLSearchParams {
  if (credentials.type === 'authorized_user') {
    return new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: need(credentials, 'client_id'),
      client_secret: need(credentials, 'client_secret'),
      refresh_token: need(credentials, 'refresh_token'),
    });
  }
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: toAssertion(credentials, tokenUrl, nowMs),
  });
}

/** A JSON web token that the service account's key has signed (RFC 7523). */
function toAssertion(credentials: JsonRecord, tokenUrl: string, nowMs: number): string {
  const email = need(credentials, 'client_email');
  const issuedAt = Math.floor(nowMs / 1000);
  const claims = {
    iss: email,
    scope: SCOPE,
    aud: tokenUrl,
    iat: issuedAt,
    exp: issuedAt + ASSERTION_SECONDS,
  };
  const keyId = toText(credentials.private_key_id);
  const head = { alg: 'RS256', typ: 'JWT', ...(keyId === null ? {} : { kid: keyId }) };
  const signed = [head, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  try {
    const signature = createSign('RSA-SHA256').update(signed).sign(need(credentials, 'private_key'));
    return `${signed}.${signature.toString('base64url')}`;
  } catch (error) {
    if (error instanceof ProviderError) throw error;
    // Nothing of the key is to be told.
    throw refuse("'private_key' is no RSA key");
  }
}

function need(credentials: JsonRecord, name: string): string {
  const text = toText(credentials[name]);
  if (text === null) throw refuse(`they lack '${name}'`);
  return text;
}

function toToken(value: unknown, nowMs: number): AccessToken {
  const reply = toRecord(value);
  const text = toText(reply?.access_token);
  if (text === null) throw new ProviderError('protocol', 'Google answered with no access token.');
  const seconds = typeof reply?.expires_in === 'number' ? reply.expires_in : 0;
  return { text, expiresMs: nowMs + seconds * 1000 };
}

function refuse(why: string): ProviderError {
  return new ProviderError('authentication', `The credentials for Vertex AI cannot be used: ${why}.`, {
    status: 401,
    param: 'vertex-credentials',
  });
}
