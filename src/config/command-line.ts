/** The command line: which command, which flags, and the help that is printed of both. */

import { parseArgs } from 'node:util';
import { findClosest } from '../suggestion.ts';
import { CHECK_FLAGS, CHECK_NOTES, HEALTH_FLAGS } from './check-flags.ts';
import { COPY_FLAG_NAMES, COPY_FLAGS, COPY_NOTES, type CopyFlag } from './copy-flags.ts';
import { KEYS_FLAG_NAMES, KEYS_FLAGS, KEYS_NOTES } from './keys-flags.ts';
import { LICENSES_FLAGS, LICENSES_NOTES } from './licenses-flags.ts';
import { SECRET_VARIABLES } from './secret-variables.ts';
import { CONFIG_FLAG, SETTING_NAMES, SETTINGS, type Setting, toVariable } from './settings.ts';
import { TRACING_VARIABLES } from './tracing-config.ts';
import { VERIFY_FLAGS, VERIFY_NOTES } from './verify-flags.ts';

export const COMMANDS = Object.freeze({
  serve: 'Serve the API. This is what happens without a command.',
  keys: 'Create, list, revoke or limit the keys of a server with --auth keys.',
  check: 'Try the configuration: store, port and providers. Makes and changes nothing.',
  health: 'Ask a server that runs how it is, for probes.',
  verify: 'Call a server as a program would, operation by operation, and print what holds.',
  migrate: 'Make the tables that are missing in the store of the settings, and end.',
  copy: 'Copy all that a tenant has from one store to another, and compare both sides.',
  licenses: 'Print the licences of all that is in this program.',
  version: 'Print the version.',
  help: 'Print this text.',
});

export type CommandName = keyof typeof COMMANDS;

export interface CommandLine {
  readonly command: CommandName;
  /** What follows the command: `create`, `revoke` and an id. */
  readonly words: readonly string[];
  /** What was given for each flag, in order; a switch without a value gives `true`. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** What is wrong with the command line; empty where nothing is. */
  readonly problems: readonly string[];
}

const SWITCH_GIVEN = 'true';
const NEGATION = 'no-';

/** `argv` is what follows the program's name. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const { tokens } = parseArgs({
    args: [...argv],
    options: toParseOptions(),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string[]>();
  const problems: string[] = [];
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const read = readFlag(token.name, token.rawName, token.value);
    if (typeof read === 'string') problems.push(read);
    else values.set(read.flag, [...(values.get(read.flag) ?? []), read.value]);
  }
  return { command: toCommand(words, values, problems), words: words.slice(1), values, problems };
}

function toParseOptions(): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    [CONFIG_FLAG]: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
  };
  for (const flag of toOwnFlags(true)) options[flag] = { type: 'boolean' };
  for (const flag of toOwnFlags(false)) options[flag] = { type: 'string' };
  for (const name of SETTING_NAMES) {
    const { flag, argument } = SETTINGS[name];
    options[flag] = { type: argument === null ? 'boolean' : 'string' };
  }
  return options;
}

/** A flag and its value, or what is wrong with it. */
function readFlag(
  name: string,
  rawName: string,
  value: string | undefined,
): { flag: string; value: string } | string {
  const switches = [
    'help',
    'version',
    ...toFlags((setting) => setting.argument === null),
    ...toOwnFlags(true),
  ];
  if (switches.includes(name)) return { flag: name, value: value ?? SWITCH_GIVEN };
  const positive = name.startsWith(NEGATION) ? name.slice(NEGATION.length) : '';
  if (switches.includes(positive) && value === undefined) return { flag: positive, value: 'false' };
  const valued = [CONFIG_FLAG, ...toFlags((setting) => setting.argument !== null), ...toOwnFlags(false)];
  if (!valued.includes(name)) return toUnknownFlag(rawName, name, [...switches, ...valued]);
  if (value === undefined || value.startsWith('--')) return `${rawName} needs a value.`;
  return { flag: name, value };
}

/** Flags that go with one command only. */
const COMMAND_FLAGS: Readonly<Partial<Record<CommandName, Readonly<Record<string, CopyFlag>>>>> =
  Object.freeze({
    copy: COPY_FLAGS,
    keys: KEYS_FLAGS,
    check: CHECK_FLAGS,
    health: HEALTH_FLAGS,
    verify: VERIFY_FLAGS,
    licenses: LICENSES_FLAGS,
  });

function toOwnFlags(isSwitch: boolean): string[] {
  return Object.values(COMMAND_FLAGS).flatMap((flags) =>
    Object.entries(flags).flatMap(([flag, { argument }]) => ((argument === null) === isSwitch ? [flag] : [])),
  );
}

function toFlags(isWanted: (setting: Setting) => boolean): string[] {
  return SETTING_NAMES.map((name): Setting => SETTINGS[name])
    .filter(isWanted)
    .map((setting) => setting.flag);
}

function toUnknownFlag(rawName: string, name: string, flags: readonly string[]): string {
  const closest = findClosest(name, flags);
  const hint = closest === null ? 'See --help.' : `Did you mean --${closest}?`;
  return `There is no flag ${rawName}. ${hint}`;
}

function toCommand(
  words: readonly string[],
  values: ReadonlyMap<string, readonly string[]>,
  problems: string[],
): CommandName {
  if (values.has('help')) return 'help';
  if (values.has('version')) return 'version';
  const [word = 'serve', extra] = words;
  // After an unknown flag a word may well be its value: one complaint is enough.
  const isClear = problems.length === 0;
  if (!isCommand(word)) {
    const closest = findClosest(word, Object.keys(COMMANDS));
    const hint = closest === null ? 'See --help.' : `Did you mean '${closest}'?`;
    if (isClear) problems.push(`There is no command '${word}'. ${hint}`);
    return 'help';
  }
  // What follows 'keys' is looked at by whoever carries it out.
  if (isClear && extra !== undefined && word !== 'help' && word !== 'keys') {
    problems.push(`'${extra}' is one word too many after '${word}'.`);
  }
  const own = COMMAND_FLAGS[word] ?? {};
  const odd = toOddFlag(values, own);
  if (isClear && odd !== null) problems.push(odd);
  return word;
}

/** What is wrong with the first flag that goes with other commands only; null where there is none. */
function toOddFlag(
  values: ReadonlyMap<string, readonly string[]>,
  own: Readonly<Record<string, CopyFlag>>,
): string | null {
  for (const flag of values.keys()) {
    const commands = Object.entries(COMMAND_FLAGS).flatMap(([command, flags]) =>
      flag in flags ? [command] : [],
    );
    if (commands.length === 0 || flag in own) continue;
    const named = new Intl.ListFormat('en-GB').format(commands.map((command) => `'${command}'`));
    return `--${flag} goes with the command${commands.length > 1 ? 's' : ''} ${named} only.`;
  }
  return null;
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

/** The provider's variables, which are no settings of ours: everybody uses these names. */
const PROVIDER_VARIABLES: readonly (readonly [string, string])[] = Object.freeze([
  ['OPENAI_API_KEY', 'The key for the language model, where a request brings none.'],
  [
    'OPENAI_BASE_URL',
    "The model's server: any that speaks OpenAI's protocol. Without it OpenAI itself, or a local one that is found at start.",
  ],
  [
    'ANTHROPIC_API_KEY, …',
    'The key of another provider (GEMINI_API_KEY, MISTRAL_API_KEY, GROQ_API_KEY, …), whose models are',
  ],
  ['', "then asked for as 'anthropic/claude-…'. docs/providers.md has them all."],
]);

const COLUMN = 36;

export function toHelp(): string {
  const lines = [
    "understudy: a server for programs written against OpenAI's Assistants API, with any language model behind it.",
    '',
    'Usage: understudy [command] [flags]',
    '',
    'Commands:',
    ...Object.entries(COMMANDS).map(([name, about]) => toRow(name, about)),
    '',
    'Flags of serve, check, health, keys and migrate (a flag wins over its variable, the variable over the file):',
    ...SETTING_NAMES.flatMap((name) => toSettingRows(SETTINGS[name])),
    toRow('--config FILE', 'A JSON or YAML file with settings, under the names of their flags.'),
    toRow('', `${toVariable(CONFIG_FLAG)}`),
    toRow('-h, --help', 'Print this text.'),
    toRow('-v, --version', 'Print the version.'),
    '',
    'Flags of keys:',
    ...KEYS_FLAG_NAMES.flatMap((flag) => toCopyRows(flag, KEYS_FLAGS[flag])),
    ...KEYS_NOTES.map((line) => `  ${line}`),
    '',
    'Flags of check and health:',
    ...Object.entries(CHECK_FLAGS).flatMap(([flag, about]) => toCopyRows(flag, about)),
    ...Object.entries(HEALTH_FLAGS).flatMap(([flag, about]) => toCopyRows(flag, about)),
    ...CHECK_NOTES.map((line) => `  ${line}`),
    '',
    'Flags of verify:',
    ...Object.entries(VERIFY_FLAGS).flatMap(([flag, about]) => toCopyRows(flag, about)),
    ...VERIFY_NOTES.map((line) => `  ${line}`),
    '',
    'Flags of copy:',
    ...COPY_FLAG_NAMES.flatMap((flag) => toCopyRows(flag, COPY_FLAGS[flag])),
    ...COPY_NOTES.map((line) => `  ${line}`),
    '',
    'Flags of licenses:',
    ...Object.entries(LICENSES_FLAGS).flatMap(([flag, about]) => toCopyRows(flag, about)),
    ...LICENSES_NOTES.map((line) => `  ${line}`),
    '',
    'Secrets (in the environment only):',
    ...SECRET_VARIABLES.flatMap(({ name, about }) =>
      about.map((line, index) => toRow(index === 0 ? name : '', line)),
    ),
    '',
    'Traces (the variables of OpenTelemetry):',
    ...TRACING_VARIABLES.map(([name, about]) => toRow(name, about)),
    '',
    'Language models:',
    ...PROVIDER_VARIABLES.map(([name, about]) => toRow(name, about)),
    toRow('understudy/rehearsal', 'A built-in stand-in for a model: offline, for trying things out.'),
  ];
  return `${lines.join('\n')}\n`;
}

function toSettingRows(setting: Setting): string[] {
  const { flag, argument, about, fallback } = setting;
  const shown = argument === null ? `--${flag}` : `--${flag} ${argument}`;
  const value = Array.isArray(fallback) ? 'none' : argument === null ? 'off' : String(fallback) || 'none';
  return [toRow(shown, about), toRow('', `${toVariable(flag)}, default ${value}`)];
}

function toCopyRows(flag: string, { argument, about }: CopyFlag): string[] {
  const shown = argument === null ? `--${flag}` : `--${flag} ${argument}`;
  return about.map((line, index) => toRow(index === 0 ? shown : '', line));
}

function toRow(left: string, right: string): string {
  return `  ${left.padEnd(COLUMN)}${right}`.trimEnd();
}
