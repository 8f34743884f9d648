/**
 * Which base URLs a request may name. The operator's own configuration is not bound by this.
 *
 * Only the host's name is judged here, as the URL parser writes it (`127.1` and `0x7f000001` are
 * `127.0.0.1` by then). What a name resolves to is judged where the connection is made (`address-check.ts`).
 */

import { ApiError } from '../../errors.ts';
import { findEntryByUrl } from '../catalogue/catalogue.ts';

const BASE_URL_CHARACTERS_MAX = 2048;
const OPENAI_HOST = 'api.openai.com';

export const OPENAI_BASE_URL = `https://${OPENAI_HOST}/v1`;

export interface BaseUrlPolicy {
  /** Hosts beside the catalogue's that a request may name, each `host` or `host:port`. */
  readonly allowedHosts: readonly string[];
  /** Whether a request may name this machine: right only where whoever asks sits on it too. */
  readonly allowLoopback: boolean;
  /** Tells this server's own address, which would answer itself without end. */
  readonly isSelf?: (baseUrl: string) => boolean;
}

/**
 * A request's `base-url` as a base URL without a slash at its end.
 * Throws `ApiError` (400, naming `base-url`) where it is no such URL or leads to a host that is not allowed.
 */
export function parseRequestBaseUrl(text: string, policy: BaseUrlPolicy): string {
  const url = parseHttpUrl(text);
  if (!isAllowed(url, policy)) {
    throw refuse(
      `The host '${url.host}' in 'base-url' is not allowed by this server. Its operator may allow it with --allow-upstream.`,
    );
  }
  const baseUrl = toBaseUrl(url);
  if (policy.isSelf?.(baseUrl) === true) throw refuse("'base-url' leads back to this server.");
  return baseUrl;
}

/** The operator's base URL in the same form; throws `Error` where it is none. */
export function parseOperatorBaseUrl(text: string): string {
  try {
    return toBaseUrl(parseHttpUrl(text));
  } catch (cause) {
    throw new Error(cause instanceof ApiError ? cause.message : 'The base URL cannot be read.');
  }
}

/** 127.0.0.0/8, ::1 and `localhost`, as `URL.hostname` writes them. */
export function isLoopbackHost(hostname: string): boolean {
  if (hostname === 'localhost' || hostname === '[::1]') return true;
  return /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

/** OpenAI itself, its regional hosts (`eu.api.openai.com`) included. */
export function isOpenAiHost(baseUrl: string): boolean {
  return isOpenAiName(new URL(baseUrl).hostname);
}

export function isOpenAiName(hostname: string): boolean {
  return hostname === OPENAI_HOST || hostname.endsWith(`.${OPENAI_HOST}`);
}

function parseHttpUrl(text: string): URL {
  if (text.length > BASE_URL_CHARACTERS_MAX) throw refuse("'base-url' is too long.");
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw refuse("'base-url' is not a URL. It looks like http://127.0.0.1:11434/v1.");
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refuse("'base-url' must begin with http:// or https://.");
  }
  if (url.username !== '' || url.password !== '') {
    throw refuse("'base-url' must not hold a user name or password. Send the key as 'authorization'.");
  }
  if (url.search !== '' || url.hash !== '') throw refuse("'base-url' must not hold a query or fragment.");
  return url;
}

function isAllowed(url: URL, policy: BaseUrlPolicy): boolean {
  if (isLoopbackHost(url.hostname) && policy.allowLoopback) return true;
  // A key for a provider must never cross the network in the clear, nor go to another port.
  return findEntryByUrl(url.href) !== null || isNamedHost(policy, url.host, url.hostname);
}

/** Whether the operator named a host, with its port or without one. */
function isNamedHost({ allowedHosts }: BaseUrlPolicy, ...hosts: readonly string[]): boolean {
  return allowedHosts.some((allowed) => hosts.includes(allowed.toLowerCase()));
}

/** Tells the check of addresses which hosts the operator named: those may lie in a private network. */
export function toHostRule(policy: BaseUrlPolicy): (host: string) => boolean {
  return (host) => isNamedHost(policy, host);
}

function toBaseUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`.replace(/\/+$/, '');
}

function refuse(message: string): ApiError {
  return ApiError.invalidValue('base-url', message);
}
