/** The command line. Every part is loaded when it is needed: the primary never loads what its workers serve. */

import { parseCommandLine, toHelp } from './config/command-line.ts';
import {
  type Config,
  ConfigError,
  isLoopback,
  readConfig,
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
  const { command, problems } = parseCommandLine(argv);
  if (command === 'serve') return await serve(readConfig(argv));
  if (problems.length > 0) throw new ConfigError(problems);
  process.stdout.write(command === 'version' ? `${VERSION}\n` : toHelp());
  return 0;
}

async function serve(config: Config): Promise<number> {
  const { settings } = config;
  const log = createConsoleLog(config);
  for (const warning of config.warnings) log.warn(warning);
  const { runPrimary } = await import('./cluster/primary.ts');
  const { announce } = await import('./cluster/banner.ts');
  return await runPrimary({
    host: settings.host,
    port: settings.port,
    workers: settings.workers,
    graceMs: settings.drainSeconds * 1000,
    command: toWorkerCommand(),
    toEnvironment: (port) => toWorkerEnvironment({ ...settings, port }, config.sections),
    log,
    announce: (ready) => announce(config, VERSION, ready, log),
  });
}

async function serveAsWorker(config: Config): Promise<number> {
  const { settings } = config;
  const log = createConsoleLog(config);
  const { runWorker } = await import('./cluster/worker.ts');
  return await runWorker({
    graceMs: settings.drainSeconds * 1000,
    log,
    async start() {
      const { startApp } = await import('./listen.ts');
      const { toListenError } = await import('./cluster/port.ts');
      return await startApp(
        {
          version: VERSION,
          host: settings.host,
          port: settings.port,
          isPortShared: settings.workers > 1,
          dataDirectory: settings.dataDirectory,
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
          models: config.models,
          openAiApiKey: config.openAiApiKey?.reveal() ?? null,
          openAiBaseUrl: config.openAiBaseUrl,
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
    },
  });
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
