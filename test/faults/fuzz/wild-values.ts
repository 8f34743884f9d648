/** What no schema has in mind: values, and texts of whole bodies. */

import type { Random } from '../seeded-random.ts';

const LONG_CHARACTERS = 300_000;
const DEEP_LEVELS = 300;
const VERY_DEEP_LEVELS = 20_000;
const MANY_ITEMS = 5_000;
/** How deep in a body something is changed. */
const SLOT_LEVELS_MAX = 16;
const IDS = [
  'asst_',
  'thread_',
  'msg_',
  'run_',
  'step_',
  'file-',
  'vs_',
  'vsfb_',
  'upload_',
  'part_',
  'call_',
].map((prefix) => `${prefix}000000000000000000000000`);

/** Each makes its value when it is needed: some are large. */
export const WILD_VALUES: readonly ((random: Random) => unknown)[] = Object.freeze([
  () => null,
  () => true,
  () => false,
  () => 0,
  () => -0,
  () => -1,
  () => 0.5,
  () => 1e308,
  () => -1e308,
  () => 5e-324,
  () => 2 ** 31,
  () => 2 ** 53,
  () => 2 ** 63,
  () => '',
  () => ' ',
  () => '\u0000',
  () => 'nul\u0000in between',
  () => '\ud800',
  () => '\udc00\ud800',
  () => '\ufeffmark',
  () => '\u202eright to left',
  () => '🎭'.repeat(300),
  () => 'Z̸̡̛͖̬̙̗̺͇͈͎̺̘̠̣̪̩̎̅̊̀̈̀̌͒̽̕͠͝͝ͅ'.repeat(20),
  () => 'x'.repeat(LONG_CHARACTERS),
  () => '1e999',
  () => 'NaN',
  () => 'null',
  () => '../../../etc/passwd',
  () => "'; DROP TABLE threads; --",
  () => '%00%ff%2e%2e',
  () => '__proto__',
  () => 'constructor',
  () => [],
  () => [[]],
  () => [null],
  () => Array.from({ length: MANY_ITEMS }, () => null),
  () => Array.from({ length: MANY_ITEMS }, (_, index) => `file-${index}`),
  () => ({}),
  () => ({ '': '' }),
  () => JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}'),
  () => Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`key${index}`, index])),
  () => toDeep(DEEP_LEVELS),
  (random: Random) => random.pick(IDS),
]);

/** `[[[…]]]` and `{"a":{"a":…}}` in turns. */
function toDeep(levels: number): unknown {
  let value: unknown = 'deep';
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** A copy of the body with one to three of its parts made wild, taken away or added to. */
export function toMutated(random: Random, body: unknown): unknown {
  const copy = structuredClone(body);
  let root: unknown = copy;
  for (let count = random.integer(1, 3); count > 0; count -= 1) root = mutateOnce(random, root);
  return root;
}

interface Slot {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

function mutateOnce(random: Random, root: unknown): unknown {
  const slots = findSlots(root);
  const wild = (): unknown => random.pick(WILD_VALUES)(random);
  if (slots.length === 0 || random.chance(0.03)) return wild();
  const { holder, key } = random.pick(slots);
  const way = random.next();
  if (way < 0.65) holder[key] = wild();
  else if (way < 0.8) delete holder[key];
  else if (way < 0.9)
    holder[random.pick(['unknown_field', 'id', 'object', 'created_at', 'internal', 'tenant', ''])] = wild();
  else holder[key] = [holder[key], holder[key]];
  return root;
}

/** Lists are objects here, too: their keys are numbers. */
function findSlots(value: unknown, levels = SLOT_LEVELS_MAX): Slot[] {
  if (typeof value !== 'object' || value === null || levels === 0) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...findSlots(holder[key], levels - 1)]);
}

/** Bodies that are no JSON, or hardly. */
export function toBrokenText(random: Random, text: string): string | Uint8Array {
  const ways: readonly (() => string | Uint8Array)[] = [
    () => text.slice(0, random.integer(0, Math.max(0, text.length - 1))),
    () => `${text}${text}`,
    () => `\ufeff${text}`,
    () => `${text},`,
    () => text.replaceAll('"', "'"),
    () => text.replace(/:\s*"[^"]*"/, ':NaN'),
    () => text.replace('{', '{"model":1,"model":[],'),
    () => '['.repeat(VERY_DEEP_LEVELS),
    () => `${'{"a":'.repeat(VERY_DEEP_LEVELS)}1${'}'.repeat(VERY_DEEP_LEVELS)}`,
    () => `{"metadata":{"k":"${'\\ud800'}"}}`,
    () => '{"number":1e400}',
    () => 'null',
    () => '"text"',
    () => '12',
    () => '\u0000',
    () => ' \n\t ',
    () => Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d),
    () => flipBytes(random, new TextEncoder().encode(text)),
    () => Bun.gzipSync(text),
    () => new Uint8Array(new Uint16Array([...text].map((letter) => letter.charCodeAt(0))).buffer),
  ];
  return random.pick(ways)();
}

function flipBytes(random: Random, bytes: Uint8Array): Uint8Array {
  for (let count = random.integer(1, 8); count > 0 && bytes.length > 0; count -= 1) {
    bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
  }
  return bytes;
}

/** What may stand for a parameter of a path. */
export const WILD_PATH_PARTS: readonly string[] = Object.freeze([
  'none',
  '%00',
  '%ff',
  '%2e%2e%2f',
  '..',
  '.',
  '%20',
  encodeURIComponent('🎭'),
  encodeURIComponent("' OR 1=1 --"),
  '-1',
  'null',
  'undefined',
  '__proto__',
  'x'.repeat(4_000),
  `file-${'0'.repeat(24)}`,
  ...IDS,
]);

export const WILD_QUERY_VALUES: readonly string[] = Object.freeze([
  '',
  '0',
  '-1',
  '1e9',
  '1.5',
  '999999999999999999999',
  'NaN',
  'asc',
  'desc',
  'sideways',
  '%00',
  '%ff',
  '%F0%9F%8E%AD',
  'true',
  '[]',
  '{}',
  'x'.repeat(3_000),
  ...IDS,
]);

export const WILD_CONTENT_TYPES: readonly string[] = Object.freeze([
  'text/plain',
  'application/xml',
  'application/x-www-form-urlencoded',
  'application/json; charset=utf-16',
  'application/vnd.api+json',
  'application/jsonx',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary="x y"',
  `multipart/form-data; boundary=${'b'.repeat(300)}`,
  'multipart/mixed; boundary=x',
  'APPLICATION/JSON',
  '/',
  ';',
]);

/** Headers as they may come from anywhere. None names a server to ask. */
export const WILD_HEADERS: readonly (readonly [string, string])[] = Object.freeze([
  ['openai-beta', 'assistants=v1'],
  ['openai-beta', 'assistants=v2, other=v9'],
  ['openai-beta', ''],
  ['openai-organization', 'org-x'],
  ['authorization', 'Bearer'],
  ['authorization', 'Basic !!!'],
  ['authorization', `Bearer ${'k'.repeat(6_000)}`],
  ['accept', 'application/xml'],
  ['accept', 'text/event-stream'],
  ['accept-encoding', 'br, zstd;q=0'],
  ['range', 'bytes=0-0'],
  ['range', 'bytes=-5'],
  ['range', 'bytes=99999999-'],
  ['range', 'bytes=5-2'],
  ['range', 'lines=1-2'],
  ['if-none-match', '*'],
  ['if-match', '"x"'],
  ['content-encoding', 'gzip'],
  ['x-http-method-override', 'DELETE'],
  ['x-request-id', 'mine\twith a tab'],
  ['traceparent', '00-00000000000000000000000000000000-0000000000000000-00'],
  ['traceparent', 'ff-x-y-z'],
  ['cookie', `a=${'c'.repeat(3_000)}`],
  ['idempotency-key', 'same'],
  ['api-key', 'sk-of-a-request'],
  ['llm-param-temperature', 'hot'],
  ['llm-param-max-tokens', '-5'],
  ['llm-param-stop', '["a", 1]'],
  ['embedding-model', 'understudy/rehearsal'],
  ['embedding-param-dimensions', '-1'],
  ['custom-llm-provider', 'nobody'],
  ['base-url', 'not a url'],
  ['base-url', 'ftp://127.0.0.1/'],
  ['origin', 'https://evil.example'],
  ['expect', 'something'],
  ['connection', 'close'],
] as const);
