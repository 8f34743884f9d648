/** The command line. Every part is loaded when it is needed: the primary never loads what its workers serve. */

import type { ModelConfig } from './compose-models.ts';
import type { StoreSettings } from './compose-store.ts';
import { type CommandLine, parseCommandLine, toHelp } from './config/command-line.ts';
import {
  type Config,
  ConfigError,
  isLoopback,
  readConfig,
  readModelChange,
  readWorkerConfig,
  toWorkerEnvironment,
} from './config/config.ts';
import { READER_ARGUMENT } from './ingest/reader-argument.ts';
import { createLog, type Log } from './log.ts';
import { Misuse } from './misuse.ts';
import type { OtlpSettings } from './tracing/otlp-tracing.ts';
import { VERSION } from './version.ts';

const EXIT_FAILED = 1;
const EXIT_MISUSED = 2;
const MIB = 1024 * 1024;
/** The name of `StoreError`, which the primary does not load. */
const STORE_ERROR = 'StoreError';

/** Answers the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === READER_ARGUMENT) return await (await import('./ingest/reader-main.ts')).serveReader();
  const handed = readWorkerConfig();
  if (handed !== null) return await serveAsWorker(handed);
  const { command, words, values, problems } = parseCommandLine(argv);
  if (command === 'serve') return await serve(argv);
  if (command === 'migrate') return await migrateStore(readConfig(argv));
  if (problems.length > 0) throw new ConfigError(problems);
  if (command === 'copy') return await copy(argv, values);
  if (command === 'check') return await check(readConfig(argv), values);
  if (command === 'health') return await askHealth(argv, values);
  if (command === 'verify') return await verify(values);
  if (command === 'keys') return await changeKeys(argv, words, values);
  if (command === 'licenses') return await printLicenses(values);
  process.stdout.write(command === 'version' ? `${VERSION}\n` : toHelp());
  return 0;
}

async function serve(argv: readonly string[]): Promise<number> {
  const { createConfigReload } = await import('./config/config-reload.ts');
  const reload = createConfigReload(argv);
  const { config } = reload;
  const { settings } = config;
  const log = createConsoleLog(config);
  for (const warning of config.warnings) log.warn(warning);
  const { runPrimary } = await import('./cluster/primary.ts');
  const { toSharing } = await import('./cluster/door.ts');
  const { announce } = await import('./cluster/banner.ts');
  const { createMetricsPart } = await import('./metrics/metrics-part.ts');
  const { createLimitsPart } = await import('./access/limits/limits-part.ts');
  const dataDirectory = settings.store === 'sqlite' ? settings.dataDirectory : null;
  return await runPrimary({
    host: settings.host,
    port: settings.port,
    workers: settings.workers,
    sharing: toSharing(settings.workers, settings.balance),
    graceMs: settings.drainSeconds * 1000,
    command: toWorkerCommand(),
    toEnvironment: (port) => toWorkerEnvironment({ ...settings, port }, reload.sections()),
    log,
    parts: [createMetricsPart({ version: VERSION, dataDirectory, log }), createLimitsPart()],
    reload: { hasChanged: reload.hasChanged, read: () => reload.read(log) },
    announce: (ready) => announce(config, VERSION, ready, log),
  });
}

async function check(config: Config, values: CommandLine['values']): Promise<number> {
  const { runCheck } = await import('./check/check-command.ts');
  const { inspectStore } = await import('./compose-check.ts');
  return await runCheck(config, {
    inspectStore: () => inspectStore(toStoreSettings(config), VERSION),
    askHost: isSwitchedOn(values, 'online') ? fetch : null,
    write: (line) => console.log(line),
  });
}

async function askHealth(argv: readonly string[], values: CommandLine['values']): Promise<number> {
  const { runHealth } = await import('./check/health.ts');
  const url = values.get('url')?.at(-1) ?? (await toConfiguredUrl(readConfig(argv)));
  if (!/^https?:\/\/[^/]/.test(url))
    throw new ConfigError([`--url must begin with http:// or https://, not be ${url}.`]);
  return await runHealth(url, isSwitchedOn(values, 'ready'), {
    out: (line) => console.log(line),
    error: (line) => console.error(`understudy: ${line}`),
  });
}

async function toConfiguredUrl({ settings }: Config): Promise<string> {
  const { toOwnUrl } = await import('./check/check-port.ts');
  return toOwnUrl(settings.host, settings.port, settings.tlsCert !== '');
}

function isSwitchedOn(values: CommandLine['values'], flag: string): boolean {
  return values.get(flag)?.at(-1) === 'true';
}

/** The official client is loaded by this command alone. */
async function verify(values: CommandLine['values']): Promise<number> {
  const { toVerifyRequest } = await import('./verify/verify-request.ts');
  const request = toVerifyRequest(values, process.env);
  const { runVerify } = await import('./verify/verify-command.ts');
  const { toProgress } = await import('./verify/report.ts');
  const interruption = new AbortController();
  // Once: whoever insists ends the process.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort());
  return await runVerify(request, {
    fetch,
    nowMs: () => performance.now(),
    tag: `verify-${crypto.randomUUID()}`,
    interruption: interruption.signal,
    write: (text) => void process.stdout.write(text),
    onLine: (line) => {
      if (process.stderr.isTTY === true) process.stderr.write(toProgress(line));
    },
    warn: (text) => console.error(`understudy: ${text}`),
  });
}

async function printLicenses(values: CommandLine['values']): Promise<number> {
  const { showLicenses } = await import('./licenses/show-licenses.ts');
  await showLicenses(
    isSwitchedOn(values, 'json') ? 'json' : isSwitchedOn(values, 'summary') ? 'summary' : 'text',
  );
  return 0;
}

/** Says on stdout what was made. Servers do it at start, too: this is for whoever wants it done before, by another role. */
async function migrateStore(config: Config): Promise<number> {
  const { makeTables } = await import('./compose-store.ts');
  const made = await makeTables(toStoreSettings(config), {
    onProgress: (name) => console.error(`understudy: making ${name}`),
    log: createConsoleLog(config),
    version: VERSION,
  }).catch((error: unknown) => {
    throw toMisuse(error, config.settings.store);
  });
  console.log(made.length === 0 ? 'Everything is there.' : `Made: ${made.join(', ')}.`);
  return 0;
}

async function changeKeys(
  argv: readonly string[],
  words: CommandLine['words'],
  values: CommandLine['values'],
): Promise<number> {
  const { toKeysRequest } = await import('./access/keys-request.ts');
  const request = toKeysRequest(words, values);
  const config = readConfig(argv);
  if (config.settings.auth === 'astra') {
    throw new ConfigError([
      'With --auth astra the tokens of the databases are the keys: there are no others.',
    ]);
  }
  const { useKeys } = await import('./compose-keys.ts');
  return await useKeys(toStoreSettings(config), request, {
    log: createLog(config.settings.logLevel, (line) => console.error(line)),
    version: VERSION,
  }).catch((error: unknown) => {
    throw toMisuse(error, config.settings.store);
  });
}

async function copy(argv: readonly string[], values: CommandLine['values']): Promise<number> {
  const { toCopyRequest } = await import('./mover/copy-request.ts');
  const { runCopy } = await import('./mover/copy-command.ts');
  const interruption = new AbortController();
  // Once: whoever insists ends the process.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort());
  return await runCopy(
    toCopyRequest(values),
    { readConfig: (flags) => readConfig([...argv, ...flags]) },
    {
      writeReport: (text) => void process.stdout.write(text),
      progress: {
        isTerminal: process.stderr.isTTY === true,
        write: (text) => void process.stderr.write(text),
      },
    },
    interruption.signal,
  );
}

async function serveAsWorker(config: Config): Promise<number> {
  const { settings } = config;
  const log = createConsoleLog(config);
  const { runWorker } = await import('./cluster/worker.ts');
  return await runWorker({
    graceMs: settings.drainSeconds * 1000,
    log,
    async start(fleet) {
      const { startApp } = await import('./listen.ts');
      const { toListenError } = await import('./cluster/port.ts');
      const { toSharing } = await import('./cluster/door.ts');
      const { openWorkerMetrics } = await import('./metrics/worker-metrics.ts');
      const { LIMITS_TOPIC } = await import('./access/limits/limits-protocol.ts');
      const { MODELS_CHANGED, WORKER_ENDED } = await import('./cluster/fleet.ts');
      const app = await startApp(
        {
          version: VERSION,
          counting: openWorkerMetrics({ fleet, log, environment: process.env }),
          host: settings.host,
          port: settings.port,
          sharing: toSharing(settings.workers, settings.balance),
          tls: config.tls === null ? null : { ...config.tls, key: config.tls.key.reveal() },
          store: toStoreSettings(config),
          allowedHosts: settings.allowHosts,
          corsOrigins: settings.corsOrigins,
          bodyBytesMax: settings.bodyMib * MIB,
          fileBytesMax: settings.fileMib * MIB,
          runExpiresMs: settings.runExpiresSeconds * 1000,
          embeddingModel: settings.embeddingModel === '' ? null : settings.embeddingModel,
          embeddingDimensions: settings.embeddingDimensions === 0 ? null : settings.embeddingDimensions,
          rewriteModel: settings.rewriteModel === '' ? null : settings.rewriteModel,
          ingestProcesses: settings.ingestProcesses,
          ingestMemoryBytes: settings.ingestMemoryMib * MIB,
          ingestTimeoutMs: settings.ingestSeconds * 1000,
          sealingSecret: config.sealingSecret?.reveal() ?? null,
          ...toModelConfig(config),
          tracing: toOtlpSettings(config),
          allowLoopbackUpstreams: settings.auth === 'none' && isLoopback(settings.host),
          keys:
            settings.auth === 'keys'
              ? {
                  metricsAddresses: settings.metricsAllow,
                  askLimits: (question) => fleet.ask(LIMITS_TOPIC, question),
                }
              : null,
          hasProxy: config.hasProxy,
          onlyUpstreams: settings.onlyUpstreams,
          onStoreLost(reason) {
            log.error('the store is lost', { reason });
            // The primary starts another worker, which takes up the runs of this one.
            process.exit(EXIT_FAILED);
          },
        },
        log,
      ).catch((error: unknown) => {
        throw toListenError(toMisuse(error, settings.store), settings.host, settings.port);
      });
      fleet.onNotice(WORKER_ENDED, app.takeUpNow);
      fleet.onNotice(MODELS_CHANGED, (body) =>
        app.changeModels(toModelConfig(readModelChange(config, body))),
      );
      return app;
    },
  });
}

function toModelConfig({
  models,
  openAiApiKey,
  openAiBaseUrl,
}: Pick<Config, 'models' | 'openAiApiKey' | 'openAiBaseUrl'>): ModelConfig {
  return { models, openAiApiKey: openAiApiKey?.reveal() ?? null, openAiBaseUrl };
}

function toOtlpSettings({ tracing }: Config): OtlpSettings | null {
  if (tracing === null) return null;
  const headers = Object.entries(tracing.headers).map(([name, value]) => [name, value.reveal()]);
  return { ...tracing, headers: Object.fromEntries(headers) };
}

function toStoreSettings({ settings, cassandra, astra }: Config): StoreSettings {
  if (astra !== null) {
    const { token, databaseId, sessionsMax, ...rest } = astra;
    return {
      engine: 'astra',
      astra: { ...rest, sessions: { sessionsMax } },
      token: token?.reveal() ?? null,
      databaseId,
    };
  }
  if (cassandra === null) return { engine: 'sqlite', directory: settings.dataDirectory };
  const password = cassandra.password?.reveal() ?? null;
  return { engine: 'cassandra', cluster: { ...cassandra, password } };
}

/** The same program again: the executable, or Bun with this file. */
function toWorkerCommand(): string[] {
  return Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main];
}

function createConsoleLog(config: Config): Log {
  return createLog(config.settings.logLevel, (line) => console.log(line));
}

/** A file that cannot be had is the operator's to mend; a cluster that does not answer may answer the next start. */
function toMisuse(error: unknown, store: string): unknown {
  if (store !== 'sqlite' || !(error instanceof Error) || error.name !== STORE_ERROR) return error;
  return new Misuse(error.message, { cause: error });
}

function printProblem(error: unknown): number {
  const lines =
    error instanceof ConfigError ? error.problems : [error instanceof Error ? error.message : error];
  for (const line of lines) console.error(`understudy: ${line}`);
  return error instanceof ConfigError || error instanceof Misuse ? EXIT_MISUSED : EXIT_FAILED;
}

main(Bun.argv.slice(2))
  .catch(printProblem)
  .then((code) => process.exit(code));
