/** Base URLs as people give them: with the version or, as LiteLLM wants them, without. */

/** Adds the version where the path names none: `https://api.anthropic.com` → `…/v1`. */
export function toVersionedUrl(baseUrl: string, version: string): string {
  const url = baseUrl.replace(/\/+$/, '');
  return /\/v\d+(alpha|beta)?\d*(\/|$)/.test(new URL(url).pathname) ? url : `${url}/${version}`;
}
