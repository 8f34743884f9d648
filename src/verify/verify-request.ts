/** What `verify` is told to do. */

import { ConfigError } from '../config/config.ts';
import { VERIFY_KEY_VARIABLE } from '../config/verify-flags.ts';
import type { Form } from './report.ts';

export interface VerifyRequest {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Null: the rehearsal model, where the server has it. */
  readonly model: string | null;
  readonly embeddingModel: string | null;
  readonly timeoutMs: number;
  readonly form: Form;
}

/** Counts as no key at an understudy without keys; the client insists on one. */
export const NO_KEY = 'understudy';
const TIMEOUT_SECONDS = 60;
const TIMEOUT_SECONDS_MAX = 3600;

/** `values` are those of the command line. Errors: `ConfigError`. */
export function toVerifyRequest(
  values: ReadonlyMap<string, readonly string[]>,
  environment: Readonly<Record<string, string | undefined>>,
): VerifyRequest {
  const problems: string[] = [];
  const readOne = (flag: string): string | null => {
    const given = values.get(flag) ?? [];
    if (given.length > 1) problems.push(`--${flag} is given ${given.length} times.`);
    if (given[0]?.trim() === '') problems.push(`--${flag} needs a value.`);
    return given[0]?.trim() ?? null;
  };
  const isOn = (flag: string): boolean => values.get(flag)?.at(-1) === 'true';
  const url = readOne('base-url');
  const baseUrl = url === null ? null : toBaseUrl(url);
  if (url === null) problems.push('verify needs --base-url URL: the server to call.');
  else if (baseUrl === null)
    problems.push('--base-url must begin with http:// or https:// and hold no name, key or question.');
  const seconds = Number(readOne('timeout-seconds') ?? TIMEOUT_SECONDS);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > TIMEOUT_SECONDS_MAX) {
    problems.push(`--timeout-seconds must be a whole number from 1 to ${TIMEOUT_SECONDS_MAX}.`);
  }
  if (isOn('json') && isOn('markdown')) problems.push('--json and --markdown exclude each other.');
  const apiKey = readOne('api-key') ?? environment[VERIFY_KEY_VARIABLE]?.trim() ?? '';
  if (/[^\x21-\x7e]/.test(apiKey)) problems.push('The key holds characters that no key has.');
  const [model, embeddingModel] = [readOne('model'), readOne('embedding-model')];
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    baseUrl: baseUrl ?? '',
    apiKey: apiKey === '' ? NO_KEY : apiKey,
    model,
    embeddingModel,
    timeoutMs: seconds * 1000,
    form: isOn('json') ? 'json' : isOn('markdown') ? 'markdown' : 'table',
  };
}

/** Null where it is none. The path is /v1 where there is none. */
function toBaseUrl(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return null;
  const path = url.pathname.replace(/\/+$/, '');
  return `${url.origin}${path === '' ? '/v1' : path}`;
}
