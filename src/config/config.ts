/**
 * The configuration: flags over environment over file, checked, frozen. Nothing else reads the environment.
 */

import { readFileSync } from 'node:fs';
import { Value } from '@sinclair/typebox/value';
import type { ModelSettings } from '../providers/routing/provider-settings.ts';
import { Secret } from '../secret.ts';
import { type AstraConfig, readAstraConfig } from './astra-config.ts';
import { type CassandraConfig, readCassandraConfig } from './cassandra-config.ts';
import { parseCommandLine } from './command-line.ts';
import {
  type Environment,
  findOddVariables,
  findSource,
  isList,
  type ReadFile,
  readConfigFile,
  readVariable,
  type Source,
} from './config-sources.ts';
import { type ModelFindings, readModelSettings } from './model-settings.ts';
import { readModelSections } from './provider-config.ts';
import { findOddSections } from './provider-config-checks.ts';
import { ModelSections } from './provider-config-schema.ts';
import {
  SECRET_VARIABLE,
  SETTING_NAMES,
  SETTINGS,
  type Setting,
  type SettingName,
  type Settings,
  SettingsSchema,
} from './settings.ts';
import { checkMetricsRanges, findOddTls, readTlsConfig, type TlsConfig } from './tls-config.ts';
import { readTracingConfig, type TracingConfig } from './tracing-config.ts';

export interface Config {
  readonly settings: Settings;
  /** Providers and models, as the environment and the file say them. */
  readonly models: ModelSettings;
  /** What the file says of them, for the workers. */
  readonly sections: ModelSections | null;
  /** The operator's key for the language model. */
  readonly openAiApiKey: Secret | null;
  /** Without a slash at its end. */
  readonly openAiBaseUrl: string | null;
  /** Under which keys that came with a request are sealed while files are read for it. */
  readonly sealingSecret: Secret | null;
  /** The cluster, where the store is one. */
  readonly cassandra: CassandraConfig | null;
  /** Astra, where the store is there. */
  readonly astra: AstraConfig | null;
  /** The server's certificate; null: it speaks HTTP. */
  readonly tls: TlsConfig | null;
  /** Where traces go; null: nowhere. */
  readonly tracing: TracingConfig | null;
  /** Whether a variable sends calls to the internet by a proxy, which Bun heeds. */
  readonly hasProxy: boolean;
  /** What is odd, but does not stop the server. */
  readonly warnings: readonly string[];
}

/** Says everything that is wrong with the configuration at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** `argv` is what follows the program's name. Throws `ConfigError`. */
export function parseConfig(argv: readonly string[], env: Environment, readFile: ReadFile): Config {
  const { values, problems: found } = parseCommandLine(argv);
  const problems = [...found];
  const file = readConfigFile(values, env, readFile, problems);
  const settings: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const setting: Setting = SETTINGS[name];
    const source = findSource(setting, values, env, file);
    settings[name] = source === null ? setting.fallback : readValue(setting, source, problems);
  }
  const sections = file === null ? null : readModelSections(file.content, file.path, problems);
  const models = findModels(settings, sections, env, readFile);
  problems.push(...models.problems);
  const sealingSecret = readSealingSecret(env, problems);
  const tracing = readTracingConfig(env, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  checkSettings(settings);
  checkTogether(settings, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const cassandra = readCassandraConfig(settings, env, readFile, problems);
  const astra = readAstraConfig(settings, env, problems);
  const tls = readTlsConfig(settings, readFile, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const odd = sections === null || file === null ? [] : findOddSections(sections, file.path);
  return toFrozen({
    settings,
    ...toModelParts(models),
    sections,
    sealingSecret,
    cassandra,
    astra,
    tls,
    tracing,
    hasProxy: findProxy(env),
    warnings: [
      ...findOddVariables(env),
      ...odd,
      ...models.warnings,
      ...findOddTls(tls, settings, Date.now()),
    ],
  });
}

/** The configuration of this process. Throws `ConfigError`. */
export function readConfig(argv: readonly string[], readFile = readTextFile): Config {
  return parseConfig(argv, process.env, readFile);
}

// ——— What a value is ———

function readValue(setting: Setting, source: Source, problems: string[]): unknown {
  const value = toTyped(setting, source.value);
  if (Value.Check(setting.schema, value)) return value;
  problems.push(toProblem(setting, source, value));
  return setting.fallback;
}

const TRUE = /^(true|1|yes|on)$/i;
const FALSE = /^(false|0|no|off)$/i;

/** Text as what the setting holds; what does not fit is left as it is, for the check to refuse. */
function toTyped(setting: Setting, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (typeof setting.fallback === 'number') return /^\d+$/.test(value) ? Number(value) : value;
  if (typeof setting.fallback !== 'boolean') return value;
  if (TRUE.test(value)) return true;
  return FALSE.test(value) ? false : value;
}

function toProblem(setting: Setting, source: Source, value: unknown): string {
  const shown = JSON.stringify(value)?.slice(0, 100) ?? String(value);
  return `${source.name} must be ${toExpected(setting)}, not ${shown}.`;
}

/** What a setting may hold, in words. */
export function toExpected(setting: Setting): string {
  const { schema } = setting;
  if (typeof setting.fallback === 'number')
    return `a whole number from ${schema.minimum} to ${schema.maximum}`;
  if (typeof setting.fallback === 'boolean') return 'true or false';
  if (schema.anyOf !== undefined || schema.const !== undefined) return toChoices(setting);
  if (setting === SETTINGS.corsOrigins) return 'origins like https://app.example, or *';
  if (setting === SETTINGS.allowUpstreams || setting === SETTINGS.onlyUpstreams) {
    return 'hosts like models.example or 10.0.0.5:8000';
  }
  if (setting === SETTINGS.cassandraContactPoints) return 'nodes like cassandra.example or 10.0.0.5:9042';
  if (setting === SETTINGS.cassandraReplication) return 'data centres and copies like dc1:3';
  if (setting === SETTINGS.cassandraKeyspace) {
    return 'a name of lower-case letters, digits and underscores, at most 48 characters';
  }
  if (setting === SETTINGS.astraKeyspace) return toExpected(SETTINGS.cassandraKeyspace);
  if (setting === SETTINGS.astraCreate) return 'a cloud and its region like aws:us-east-2';
  if (setting === SETTINGS.astraApiUrl)
    return 'an address like https://api.astra.datastax.com, without a path';
  return isList(setting) ? 'a list of names' : `text of at most ${schema.maxLength} characters`;
}

function toChoices({ schema }: Setting): string {
  const choices: string[] = (schema.anyOf ?? []).map((choice: { const: string }) => choice.const);
  const last = choices.pop() ?? String(schema.const);
  return choices.length === 0 ? last : `${choices.join(', ')} or ${last}`;
}

// ——— What fits together ———

function checkSettings(settings: unknown): asserts settings is Settings {
  if (!Value.Check(SettingsSchema, settings)) {
    const [first] = [...Value.Errors(SettingsSchema, settings)];
    throw new ConfigError([`The settings do not hold: ${first?.path} ${first?.message}.`]);
  }
}

function checkTogether(settings: Settings, problems: string[]): void {
  const { host, auth, allowOpen, dataDirectory } = settings;
  checkMetricsRanges(settings, problems);
  if (auth === 'none' && !allowOpen && !isLoopback(host)) {
    problems.push(
      `--host ${host} would let in everybody who can reach this machine, because --auth is none. Add --allow-open if that is meant.`,
    );
  }
  if (/^~(\/|$)/.test(dataDirectory)) {
    problems.push(`--data ${dataDirectory}: only a shell knows what ~ means. Write the whole path.`);
  }
}

/** Whether only this machine can reach a server that listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

// ——— Models, and secrets ———

/** Less could be guessed by whoever gets hold of the database. */
const SECRET_LENGTH_MIN = 16;
const OPENAI = 'openai';

function findModels(
  settings: Readonly<Record<string, unknown>>,
  sections: ModelSections | null,
  env: Environment,
  readFile: ReadFile,
): ModelFindings {
  const { allowUpstreams, embeddingModel, rewriteModel } = settings;
  return readModelSettings({
    env,
    readFile,
    sections,
    // What does not fit has been complained of by now.
    allowedHosts: Value.Check(SETTINGS.allowUpstreams.schema, allowUpstreams) ? allowUpstreams : [],
    ownModels: [embeddingModel, rewriteModel].filter(
      (name) => typeof name === 'string' && name !== '',
    ) as string[],
  });
}

function toModelParts({
  settings,
}: ModelFindings): Pick<Config, 'models' | 'openAiApiKey' | 'openAiBaseUrl'> {
  const openAi = settings.providers.get(OPENAI);
  return { models: settings, openAiApiKey: openAi?.apiKey ?? null, openAiBaseUrl: openAi?.baseUrl ?? null };
}

function readSealingSecret(env: Environment, problems: string[]): Secret | null {
  const text = readVariable(env, SECRET_VARIABLE);
  if (text === null) return null;
  if (text.length < SECRET_LENGTH_MIN) {
    problems.push(`${SECRET_VARIABLE} must have at least ${SECRET_LENGTH_MIN} characters.`);
  }
  return new Secret(text);
}

const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'];

function findProxy(env: Environment): boolean {
  return PROXY_VARIABLES.some(
    (name) => readVariable(env, name) !== null || readVariable(env, name.toLowerCase()) !== null,
  );
}

// ——— Handing it to a worker ———

const WORKER_VARIABLE = 'UNDERSTUDY_INTERNAL_WORKER';
const UPSTREAM_CALLS_VARIABLE = 'BUN_CONFIG_MAX_HTTP_REQUESTS';
/** Calls under way at once in one worker. Bun reads it when a process starts, and stops at 256 without it. */
export const UPSTREAM_CALLS_MAX = 4096;

/** What a worker is told, as text in its environment. */
interface Handover {
  readonly settings: unknown;
  readonly sections: ModelSections | null;
}

/**
 * The environment of a worker. The settings are handed over as the primary read them, so that a worker that is
 * restarted later is like the others; secrets are inherited as they came, and written nowhere else.
 */
export function toWorkerEnvironment(
  settings: Settings,
  sections: ModelSections | null,
): Record<string, string | undefined> {
  const handover: Handover = { settings, sections };
  return {
    [UPSTREAM_CALLS_VARIABLE]: String(UPSTREAM_CALLS_MAX),
    ...process.env,
    [WORKER_VARIABLE]: JSON.stringify(handover),
  };
}

/** The configuration that the primary handed over, or null in a process that is no worker. */
export function readWorkerConfig(): Config | null {
  const text = process.env[WORKER_VARIABLE];
  if (text === undefined) return null;
  // Not for the processes that this one may start.
  delete process.env[WORKER_VARIABLE];
  const { settings, sections } = JSON.parse(text) as Handover;
  checkSettings(settings);
  const problems: string[] = [];
  // Checked by the primary; the files that it names are read anew, so that a key that was changed counts.
  const models = findModels(settings, sections ?? null, process.env, readTextFile);
  problems.push(...models.problems);
  const sealingSecret = readSealingSecret(process.env, problems);
  const cassandra = readCassandraConfig(settings, process.env, readTextFile, problems);
  const astra = readAstraConfig(settings, process.env, problems);
  const tls = readTlsConfig(settings, readTextFile, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return toFrozen({
    settings,
    ...toModelParts(models),
    sections: sections ?? null,
    sealingSecret,
    cassandra,
    astra,
    tls,
    tracing: readTracingConfig(process.env, problems),
    hasProxy: findProxy(process.env),
    warnings: [],
  });
}

/** What the file says of models now, as the primary tells it. Throws where it is of no use: the primary has checked it. */
export function readModelChange(
  { settings }: Config,
  body: unknown,
): Pick<Config, 'models' | 'openAiApiKey' | 'openAiBaseUrl'> {
  const sections = body === null ? null : Value.Parse(ModelSections, body);
  const models = findModels(settings, sections, process.env, readTextFile);
  if (models.problems.length > 0) throw new ConfigError(models.problems);
  return toModelParts(models);
}

/** Names, as flags, of the settings that are not as they were. */
export function findChangedSettings(before: Settings, after: Settings): string[] {
  return SETTING_NAMES.filter((name) => !Value.Equal(before[name], after[name])).map(
    (name) => SETTINGS[name].flag,
  );
}

export const readTextFile: ReadFile = (path) => readFileSync(path, 'utf8');

function toFrozen(config: Config): Config {
  for (const name of SETTING_NAMES satisfies readonly SettingName[]) Object.freeze(config.settings[name]);
  Object.freeze(config.settings);
  Object.freeze(config.warnings);
  return Object.freeze(config);
}
