/** What `understudy keys` is told to do. */

import { ConfigError } from '../config/config.ts';
import { KEYS_ACTIONS, KEYS_FLAG_NAMES, type KeysFlagName } from '../config/keys-flags.ts';
import { findClosest } from '../suggestion.ts';
import { type KeyLimits, NO_KEY_LIMITS, PROJECT_NAME, type ProjectLimits } from './key-records.ts';
import { isKeyScope, KEY_SCOPES, KEY_SCOPES_DEFAULT, type KeyScope } from './key-scopes.ts';
import type { NewKey } from './keys.ts';

export type KeysRequest =
  | ({ readonly action: 'create' } & NewKey)
  | { readonly action: 'list'; readonly project: string | null; readonly isJson: boolean }
  | { readonly action: 'revoke'; readonly id: string }
  | { readonly action: 'limit'; readonly project: string; readonly limits: Partial<ProjectLimits> };

type Action = KeysRequest['action'];
type Values = ReadonlyMap<string, readonly string[]>;

const LIMIT_FLAGS = ['requests-per-minute', 'tokens-per-minute', 'concurrent-runs'] as const;
const FLAGS: Readonly<Record<Action, readonly KeysFlagName[]>> = Object.freeze({
  create: ['project', 'scope', 'expires', ...LIMIT_FLAGS],
  list: ['project', 'json'],
  revoke: [],
  limit: ['project', ...LIMIT_FLAGS, 'stored-mib'],
});
const NUMBER_MAX = 1_000_000_000;
const MIB = 1024 * 1024;

/** `words` follow the command's name. Errors: `ConfigError`. */
export function toKeysRequest(words: readonly string[], values: Values): KeysRequest {
  const [word, ...rest] = words;
  const action = KEYS_ACTIONS.find((one) => one === word);
  if (action === undefined) throw new ConfigError([toActionProblem(word)]);
  const problems: string[] = [];
  const read = createReader(values, problems);
  const id = action === 'revoke' ? rest.shift() : undefined;
  if (rest[0] !== undefined) problems.push(`'${rest[0]}' is one word too many after 'keys ${action}'.`);
  for (const flag of KEYS_FLAG_NAMES) {
    if (values.has(flag) && !FLAGS[action].includes(flag)) {
      problems.push(`--${flag} does not go with 'keys ${action}'.`);
    }
  }
  const request = toRequest(action, read, id, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return request;
}

function toActionProblem(word: string | undefined): string {
  const actions = 'create, list, revoke or limit';
  if (word === undefined) return `keys needs to be told what to do: ${actions}.`;
  const closest = findClosest(word, KEYS_ACTIONS);
  const hint = closest === null ? `There is ${actions}.` : `Did you mean 'keys ${closest}'?`;
  return `There is no 'keys ${word}'. ${hint}`;
}

function toRequest(action: Action, read: Reader, id: string | undefined, problems: string[]): KeysRequest {
  switch (action) {
    case 'create':
      return {
        action,
        project: read.project(`keys create needs --project NAME: whose key it is.`),
        scopes: read.scopes(),
        expiresInMs: read.duration('expires'),
        limits: { ...NO_KEY_LIMITS, ...read.limits() },
      };
    case 'list':
      return { action, project: read.project(null) || null, isJson: read.isOn('json') };
    case 'revoke':
      if (id === undefined) problems.push("keys revoke needs the id of a key, as 'keys list' shows it.");
      else if (!/^key_[0-9A-Za-z]{24}$/.test(id)) {
        // It may be the key itself, which is not to be repeated.
        problems.push("That is no id of a key: it looks like key_… in 'keys list'.");
      }
      return { action, id: id ?? '' };
    case 'limit': {
      const project = read.project('keys limit needs --project NAME: whose limits they are.');
      const limits = { ...read.limits(), ...read.storedLimit() };
      if (Object.keys(limits).length === 0) {
        problems.push('keys limit needs a limit: --requests-per-minute NUMBER, or another one.');
      }
      return { action, project, limits };
    }
  }
}

interface Reader {
  /** Empty where there is none; `missing` is then a problem, unless null. */
  project(missing: string | null): string;
  scopes(): readonly KeyScope[];
  duration(flag: 'expires'): number | null;
  /** Those that are named. */
  limits(): Partial<KeyLimits>;
  storedLimit(): Partial<ProjectLimits>;
  isOn(flag: 'json'): boolean;
}

const UNITS_MS: Readonly<Record<string, number>> = Object.freeze({
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
});
/** A hundred years. */
const DURATION_MS_MAX = 36_525 * 86_400_000;

function createReader(values: Values, problems: string[]): Reader {
  const readOne = (flag: KeysFlagName): string | null => {
    const given = values.get(flag) ?? [];
    if (given.length > 1) problems.push(`--${flag} is given ${given.length} times.`);
    return given[0] ?? null;
  };
  const readLimit = (flag: KeysFlagName): number | null | undefined => {
    const text = readOne(flag);
    if (text === null) return undefined;
    if (text === 'none') return null;
    if (/^\d{1,10}$/.test(text) && Number(text) >= 1 && Number(text) <= NUMBER_MAX) return Number(text);
    problems.push(`--${flag} must be a whole number from 1 to ${NUMBER_MAX}, or none.`);
    return undefined;
  };
  return {
    project(missing) {
      const name = readOne('project');
      if (name === null) {
        if (missing !== null) problems.push(missing);
        return '';
      }
      if (!PROJECT_NAME.test(name)) {
        problems.push(
          '--project must be a name of at most 64 letters, digits, dots, dashes and underscores.',
        );
      }
      return name;
    },
    scopes() {
      const given = (values.get('scope') ?? []).flatMap((text) => text.split(','));
      const odd = given.find((text) => !isKeyScope(text));
      if (odd !== undefined) problems.push(`--scope '${odd}': there is ${KEY_SCOPES.join(', ')}.`);
      const known = KEY_SCOPES.filter((scope) => given.includes(scope));
      return given.length === 0 ? KEY_SCOPES_DEFAULT : known;
    },
    duration(flag) {
      const text = readOne(flag);
      if (text === null) return null;
      const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
      const ms = Number(count) * (UNITS_MS[unit] ?? 0);
      if (ms > 0 && ms <= DURATION_MS_MAX) return ms;
      problems.push(`--${flag} must be a time like 90s, 30m, 12h or 30d.`);
      return null;
    },
    limits() {
      const [requests, tokens, runs] = LIMIT_FLAGS.map(readLimit);
      return {
        ...(requests === undefined ? {} : { requests_per_minute: requests }),
        ...(tokens === undefined ? {} : { tokens_per_minute: tokens }),
        ...(runs === undefined ? {} : { concurrent_runs: runs }),
      };
    },
    storedLimit() {
      const mib = readLimit('stored-mib');
      return mib === undefined ? {} : { stored_bytes: mib === null ? null : mib * MIB };
    },
    isOn: (flag) => values.get(flag)?.at(-1) === 'true',
  };
}
