/** Rules of every request that are no resource's own. */

import { ApiError } from '../errors.ts';

/** Errors: 403. */
export type HostCheck = (request: Request) => void;

const BETA_PATHS = /^\/v1\/(assistants|threads|vector_stores)(\/|$)/;
const BETA = 'assistants=v2';

/** Absent means v2; clients may name further betas beside it. Errors: 400. */
export function checkBeta(request: Request): void {
  const header = request.headers.get('openai-beta');
  if (header === null) return;
  if (!BETA_PATHS.test(toPath(request)) || header.split(',').some((beta) => beta.trim() === BETA)) return;
  throw new ApiError(
    'invalid_request',
    `Invalid 'OpenAI-Beta' header: '${header.slice(0, 100)}'. This server speaks version 2 of the Assistants API: send 'OpenAI-Beta: ${BETA}', or nothing.`,
    { param: 'OpenAI-Beta', wireCode: 'invalid_beta' },
  );
}

export function toPath(request: Request): string {
  const { url } = request;
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const end = url.indexOf('?', start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

/** Parameters of a path are decoded: escapes that stand for no text cannot be. Errors: 400. */
export function checkPath(request: Request): void {
  const path = toPath(request);
  if (!path.includes('%')) return;
  try {
    decodeURIComponent(path);
  } catch (cause) {
    throw new ApiError(
      'invalid_request',
      `Invalid URL (${request.method} ${path}): it is not well encoded.`,
      {
        cause,
      },
    );
  }
}

/** 405 in OpenAI's words. */
export function toUnsupportedMethod(request: Request): ApiError {
  return new ApiError('method_not_supported', `Not allowed to ${request.method} on ${toPath(request)}.`);
}

/** The methods, of those that routes are registered for, with which a path is served. Runs for unknown URLs only. */
export function findMethods(
  routes: readonly { readonly method: string; readonly path: string }[],
  path: string,
): string[] {
  const given = path.replace(/\/$/, '').split('/');
  // The answers to preflights are registered for every path there could be.
  const found = routes.filter((route) => route.method !== 'OPTIONS' && matches(route.path.split('/'), given));
  return [...new Set(found.map((route) => route.method))].sort();
}

/** Patterns as the router has them: `:name` is any one part, a last `*` all that follow. */
function matches(pattern: readonly string[], given: readonly string[]): boolean {
  if (pattern.at(-1) === '*') {
    return (
      given.length >= pattern.length && matches(pattern.slice(0, -1), given.slice(0, pattern.length - 1))
    );
  }
  return (
    pattern.length === given.length &&
    pattern.every((part, index) => (part.startsWith(':') ? given[index] !== '' : part === given[index]))
  );
}

/**
 * Without authentication a web page could reach the server through a name of its own that points to this
 * machine. Addresses cannot be forged that way; names must be known.
 */
export function createHostCheck(knownNames: readonly string[]): HostCheck {
  const known = new Set(['localhost', ...knownNames.map((name) => name.toLowerCase())]);
  /** Nearly all requests come under the same name. */
  let lastGood: string | null = null;
  return (request) => {
    const host = request.headers.get('host') ?? '';
    if (host === lastGood) return;
    const name = toHostName(host);
    if (known.has(name) || name.endsWith('.localhost') || isAddress(name)) {
      lastGood = host;
      return;
    }
    throw new ApiError(
      'permission_denied',
      `This server does not answer under the name '${name.slice(0, 100)}'. Allow it with --allow-host.`,
    );
  };
}

function toHostName(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}

function isAddress(name: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name);
}
