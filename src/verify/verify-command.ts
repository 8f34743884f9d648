/** `understudy verify`: calls a server with the official client, operation by operation, and says what holds. */

import OpenAI from 'openai';
import { ConfigError } from '../config/config.ts';
import { createCleanup } from './cleanup.ts';
import { createExchangeLog, type ExchangeLog, type Fetch } from './exchanges.ts';
import type { Line } from './outcome.ts';
import { countOutcomes, toReportText } from './report.ts';
import { runChecks, toReason } from './run-checks.ts';
import { CHECKS } from './suite.ts';
import { REHEARSAL, type Target } from './target.ts';
import { NO_KEY, type VerifyRequest } from './verify-request.ts';

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;
/** Of what a server says in a table. */
const SHOWN_MAX = 200;
const OPENAI_EMBEDDINGS = 'text-embedding-3-small';

export interface VerifyDeps {
  readonly fetch: Fetch;
  readonly nowMs: () => number;
  /** Tells our things from others': different in every run. */
  readonly tag: string;
  readonly interruption: AbortSignal;
  readonly write: (text: string) => void;
  /** Where a person may watch; called with each line. */
  readonly onLine: (line: Line) => void;
  readonly warn: (text: string) => void;
}

/** Answers the exit code. Errors: `ConfigError` where no model is named and the server has no rehearsal. */
export async function runVerify(request: VerifyRequest, deps: VerifyDeps): Promise<number> {
  const cleanup = createCleanup();
  const { baseUrl } = request;
  const log = createExchangeLog({
    fetch: deps.fetch,
    baseUrl,
    nowMs: deps.nowMs,
    onAnswer: cleanup.note,
    onLost: cleanup.noteLost,
  });
  const toShown = createShortener(request.apiKey);
  const client = createClient(request, log);
  log.begin(AbortSignal.any([deps.interruption, AbortSignal.timeout(request.timeoutMs)]));
  const found = await findModels(client);
  if (typeof found === 'string') {
    deps.warn(`${baseUrl}: ${toShown(found)}`);
    return deps.interruption.aborted ? EXIT_INTERRUPTED : EXIT_FAILED;
  }
  const target = toTarget(request, found);
  let left: readonly string[] = [];
  let lines: readonly Line[] = [];
  try {
    const { tag, nowMs, interruption, onLine } = deps;
    const { timeoutMs } = request;
    lines = await runChecks(CHECKS, {
      client,
      log,
      target,
      tag,
      timeoutMs,
      nowMs,
      interruption,
      toShown,
      onLine,
    });
  } finally {
    await log.settle();
    // Not under the interruption: what was made is taken away all the same.
    log.begin(AbortSignal.timeout(request.timeoutMs));
    left = await cleanup.clear(client, deps.tag);
  }
  deps.write(toReportText({ baseUrl, model: target.model, lines, left }, request.form));
  if (left.length > 0) deps.warn(`could not be taken away: ${left.join(', ')}`);
  if (deps.interruption.aborted) return EXIT_INTERRUPTED;
  return toExitCode(lines, left, deps);
}

function toExitCode(lines: readonly Line[], left: readonly string[], deps: VerifyDeps): number {
  const counts = countOutcomes(lines);
  if (counts.ok === 0) deps.warn('nothing of the API is there.');
  return counts.failed > 0 || counts.ok === 0 || left.length > 0 ? EXIT_FAILED : EXIT_OK;
}

/** Nothing of the environment is sent to the server: its keys and organisations are not meant for it. */
function createClient({ baseUrl, apiKey, timeoutMs }: VerifyRequest, log: ExchangeLog): OpenAI {
  return new OpenAI({
    baseURL: baseUrl,
    apiKey,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: 'off',
    fetch: log.fetch,
  });
}

/** Names of models, empty where the server lists none; or why it cannot be asked at all. */
async function findModels(client: OpenAI): Promise<ReadonlySet<string> | string> {
  try {
    const page = await client.models.list();
    return new Set((page.data ?? []).map(({ id }) => id));
  } catch (error) {
    if (error instanceof OpenAI.APIConnectionError) return toReason(error);
    if (error instanceof OpenAI.AuthenticationError || error instanceof OpenAI.PermissionDeniedError) {
      return `the server refuses the key: ${error.message}`;
    }
    return new Set();
  }
}

function toTarget({ model, embeddingModel }: VerifyRequest, found: ReadonlySet<string>): Target {
  const chosen = model ?? (found.has(REHEARSAL) ? REHEARSAL : null);
  if (chosen === null) {
    throw new ConfigError([`verify needs --model NAME: the server lists no ${REHEARSAL}.`]);
  }
  const isRehearsal = chosen === REHEARSAL;
  const fallback = isRehearsal ? REHEARSAL : found.has(OPENAI_EMBEDDINGS) ? OPENAI_EMBEDDINGS : null;
  return { model: chosen, embeddingModel: embeddingModel ?? fallback, isRehearsal };
}

/** Servers like to repeat the key that they refuse, and say more than a line holds. */
function createShortener(apiKey: string): (text: string) => string {
  return (text) => {
    const line = text
      .replaceAll(apiKey === NO_KEY ? '\0' : apiKey, '[key]')
      .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
      .trim();
    return line.length > SHOWN_MAX ? `${line.slice(0, SHOWN_MAX - 1)}…` : line;
  };
}
