/** The command line. Every part is loaded when it is needed: the primary never loads what its workers serve. */

import type { ModelConfig } from './app.ts';
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
import { VERSION } from './version.ts';

const EXIT_FAILED = 1;
const EXIT_MISUSED = 2;
const MIB = 1024 * 1024;

/** Answers the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === READER_ARGUMENT) return await (await import('./ingest/reader-main.ts')).serveReader();
  const handed = readWorkerConfig();
  if (handed !== null) return await serveAsWorker(handed);
  const { command, values, problems } = parseCommandLine(argv);
  if (command === 'serve') return await serve(argv);
  if (command === 'migrate') return await migrateStore(readConfig(argv));
  if (problems.length > 0) throw new ConfigError(problems);
  if (command === 'copy') return await copy(argv, values);
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
  return await runPrimary({
    host: settings.host,
    port: settings.port,
    workers: settings.workers,
    sharing: toSharing(settings.workers, settings.balance),
    graceMs: settings.drainSeconds * 1000,
    command: toWorkerCommand(),
    toEnvironment: (port) => toWorkerEnvironment({ ...settings, port }, reload.sections()),
    log,
    reload: { hasChanged: reload.hasChanged, read: () => reload.read(log) },
    announce: (ready) => announce(config, VERSION, ready, log),
  });
}

/** Says on stdout what was made. Servers do it at start, too: this is for whoever wants it done before, by another role. */
async function migrateStore(config: Config): Promise<number> {
  const { makeTables } = await import('./compose-store.ts');
  const made = await makeTables(toStoreSettings(config), {
    onProgress: (name) => console.error(`understudy: making ${name}`),
    log: createConsoleLog(config),
    version: VERSION,
  });
  console.log(made.length === 0 ? 'Everything is there.' : `Made: ${made.join(', ')}.`);
  return 0;
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
      const { MODELS_CHANGED, WORKER_ENDED } = await import('./cluster/fleet.ts');
      const app = await startApp(
        {
          version: VERSION,
          host: settings.host,
          port: settings.port,
          sharing: toSharing(settings.workers, settings.balance),
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
          allowLoopbackUpstreams: isLoopback(settings.host),
          hasProxy: config.hasProxy,
          onStoreLost(reason) {
            log.error('the store is lost', { reason });
            // The primary starts another worker, which takes up the runs of this one.
            process.exit(EXIT_FAILED);
          },
        },
        log,
      ).catch((error: unknown) => {
        throw toListenError(error, settings.host, settings.port);
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

function printProblem(error: unknown): number {
  const lines =
    error instanceof ConfigError ? error.problems : [error instanceof Error ? error.message : error];
  for (const line of lines) console.error(`understudy: ${line}`);
  return error instanceof ConfigError ? EXIT_MISUSED : EXIT_FAILED;
}

main(Bun.argv.slice(2))
  .catch(printProblem)
  .then((code) => process.exit(code));
