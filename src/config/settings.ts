/**
 * The settings, in one table: their flags, variables and places in the file, what they may hold and what they are
 * without being set. The parser, the check and the help are all made from it.
 */

import { type Static, Type } from '@sinclair/typebox';
import { ACCESS_SETTINGS } from './access-settings.ts';
import { LIST_MAX, Name, setting, Text } from './setting.ts';
import { STORE_SETTINGS } from './store-settings.ts';

export type { Setting } from './setting.ts';

const PORT_MAX = 65_535;
export const WORKERS_MAX = 64;
const BODY_MIB_MAX = 1024;
const FILE_MIB_MAX = 65_536;
const SECONDS_MAX = 86_400;

/** `models.example`, `10.0.0.5:8000`, `[fd00::1]:8000` */
export const HOST_PATTERN = '^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+)(:\\d{1,5})?$';

export const SETTINGS = Object.freeze({
  host: setting({
    flag: 'host',
    argument: 'ADDRESS',
    schema: Name,
    fallback: '127.0.0.1',
    about: 'Where to listen. Beyond this machine only with --auth keys, --auth astra or --allow-open.',
  }),
  port: setting({
    flag: 'port',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 0, maximum: PORT_MAX }),
    fallback: 8700,
    about: 'The port; 0 lets the system choose one.',
  }),
  workers: setting({
    flag: 'workers',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 1, maximum: WORKERS_MAX }),
    fallback: 1,
    about: 'Processes that serve, on one port.',
  }),
  balance: setting({
    flag: 'balance',
    argument: 'HOW',
    schema: Type.Union([Type.Literal('auto'), Type.Literal('kernel'), Type.Literal('primary')]),
    fallback: 'auto' as const,
    about: 'How workers get connections: kernel, from the shared port (Linux); primary, which hands them on.',
  }),
  dataDirectory: setting({
    flag: 'data',
    argument: 'DIRECTORY',
    schema: Text,
    fallback: '.understudy',
    about: 'Where everything is kept; made when it is missing.',
  }),
  store: setting({
    flag: 'store',
    argument: 'NAME',
    schema: Type.Union([Type.Literal('sqlite'), Type.Literal('cassandra'), Type.Literal('astra')]),
    fallback: 'sqlite' as const,
    about: 'The database: sqlite, embedded; cassandra, a cluster that any number of servers share; or astra.',
  }),
  ...STORE_SETTINGS,
  auth: setting({
    flag: 'auth',
    argument: 'MODE',
    schema: Type.Union([Type.Literal('none'), Type.Literal('keys'), Type.Literal('astra')]),
    fallback: 'none' as const,
    about:
      'Who may come in: none, which is everybody; keys: who has one; astra: who brings a token of an Astra database.',
  }),
  ...ACCESS_SETTINGS,
  allowOpen: setting({
    flag: 'allow-open',
    argument: null,
    schema: Type.Boolean(),
    fallback: false,
    about: 'Listen beyond this machine although everybody may come in.',
  }),
  allowHosts: setting({
    flag: 'allow-host',
    argument: 'NAME',
    schema: Type.Array(Name, { maxItems: LIST_MAX }),
    fallback: [] as string[],
    about: 'A name that the server answers to, beside addresses and localhost. May be repeated.',
  }),
  allowUpstreams: setting({
    flag: 'allow-upstream',
    argument: 'HOST',
    schema: Type.Array(Type.String({ pattern: HOST_PATTERN, maxLength: 300 }), { maxItems: LIST_MAX }),
    fallback: [] as string[],
    about:
      "A host, or host:port, that a request may name as 'base-url' beside the known providers'. May be repeated.",
  }),
  onlyUpstreams: setting({
    flag: 'only-upstream',
    argument: 'HOST',
    schema: Type.Array(Type.String({ pattern: HOST_PATTERN, maxLength: 300 }), { maxItems: LIST_MAX }),
    fallback: [] as string[],
    about: 'The only host, or host:port, where models are asked, whoever names another one. May be repeated.',
  }),
  corsOrigins: setting({
    flag: 'cors-origin',
    argument: 'ORIGIN',
    schema: Type.Array(Type.String({ pattern: '^(\\*|https?://[^/\\s]+)$' }), { maxItems: LIST_MAX }),
    fallback: [] as string[],
    about: 'A web origin that may call the server (https://app.example), or *. May be repeated.',
  }),
  bodyMib: setting({
    flag: 'body-limit-mib',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 1, maximum: BODY_MIB_MAX }),
    fallback: 32,
    about: 'The largest request body, in MiB.',
  }),
  fileMib: setting({
    flag: 'file-limit-mib',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 1, maximum: FILE_MIB_MAX }),
    fallback: 512,
    about: 'The largest file that comes in one request, in MiB; uploads in parts may be larger.',
  }),
  runExpiresSeconds: setting({
    flag: 'run-expires-seconds',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 1, maximum: SECONDS_MAX }),
    fallback: 600,
    about: 'How long a run may wait for its model, or for the outputs of its tools.',
  }),
  embeddingModel: setting({
    flag: 'embedding-model',
    argument: 'NAME',
    schema: Type.String({ maxLength: 256 }),
    fallback: '',
    about: "The model of new vector stores. Without it: OpenAI's where OpenAI answers, else words alone.",
  }),
  embeddingDimensions: setting({
    flag: 'embedding-dimensions',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 0, maximum: 16_000 }),
    fallback: 0,
    about: "Dimensions to ask that model for; 0 is the model's own.",
  }),
  rewriteModel: setting({
    flag: 'rewrite-model',
    argument: 'NAME',
    schema: Type.String({ maxLength: 256 }),
    fallback: '',
    about: 'The language model that words search questions anew where a request asks for it.',
  }),
  ingestProcesses: setting({
    flag: 'ingest-processes',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 1, maximum: 32 }),
    fallback: 2,
    about: 'Processes that read documents, for each worker.',
  }),
  ingestMemoryMib: setting({
    flag: 'ingest-memory-mib',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 128, maximum: 65_536 }),
    fallback: 1024,
    about: 'What a process that reads a document may take, in MiB; a document that needs more fails.',
  }),
  ingestSeconds: setting({
    flag: 'ingest-seconds',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 1, maximum: SECONDS_MAX }),
    fallback: 120,
    about: 'How long the reading of one document may take.',
  }),
  drainSeconds: setting({
    flag: 'drain-seconds',
    argument: 'NUMBER',
    schema: Type.Integer({ minimum: 0, maximum: SECONDS_MAX }),
    fallback: 10,
    about: 'How long runs may go on when the server is told to stop.',
  }),
  logLevel: setting({
    flag: 'log-level',
    argument: 'LEVEL',
    schema: Type.Union([
      Type.Literal('debug'),
      Type.Literal('info'),
      Type.Literal('warn'),
      Type.Literal('error'),
      Type.Literal('silent'),
    ]),
    fallback: 'info' as const,
    about: 'What is logged, as JSON lines on stdout: debug, info, warn, error or silent.',
  }),
});

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.freeze(Object.keys(SETTINGS) as SettingName[]);

/** Every setting with its value: plain data, without secrets. */
export type Settings = { readonly [N in SettingName]: Static<(typeof SETTINGS)[N]['schema']> };

/** The schema of `Settings`. */
export const SettingsSchema = Type.Object(
  Object.fromEntries(SETTING_NAMES.map((name) => [name, SETTINGS[name].schema])),
  { additionalProperties: false },
);

/** Takes a file as `--config` does: the one flag that is no setting. */
export const CONFIG_FLAG = 'config';

export const VARIABLE_PREFIX = 'UNDERSTUDY_';
/** Secrets have no flag and no place in the file, where they would be seen. */
export const SECRET_VARIABLE = `${VARIABLE_PREFIX}SECRET`;
/** Everybody's names for them. */
export const ASTRA_TOKEN_VARIABLE = 'ASTRA_DB_APPLICATION_TOKEN';
export const ASTRA_DATABASE_VARIABLE = 'ASTRA_DB_ID';
export const CASSANDRA_PASSWORD_VARIABLE = `${VARIABLE_PREFIX}CASSANDRA_PASSWORD`;

/** `body-limit-mib` is `UNDERSTUDY_BODY_LIMIT_MIB`. */
export function toVariable(flag: string): string {
  return VARIABLE_PREFIX + flag.toUpperCase().replaceAll('-', '_');
}
