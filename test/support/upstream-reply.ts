/** Plays one turn of a script into an HTTP answer: as a stream of chunks, or as one document. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Step, toCallDeltas, type UsageCounts } from './upstream-steps.ts';

export interface Turn {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly steps: readonly Step[];
  readonly response: ServerResponse;
}

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

export async function playTurn(turn: Turn): Promise<void> {
  const first = turn.steps[0];
  if (first?.kind === 'status') {
    turn.response.writeHead(first.status, first.headers).end(first.body);
  } else if (first?.kind === 'reset') {
    turn.response.socket?.destroy();
  } else if (first?.kind === 'hang') {
    await waitForClose(turn.response);
  } else if (turn.path.endsWith('/embeddings')) {
    sendEmbeddings(turn);
  } else if (turn.body.stream === true) {
    await playStream(turn);
  } else {
    await playDocument(turn);
  }
}

async function playStream({ body, steps, response }: Turn): Promise<void> {
  const model = String(body.model);
  const options = body.stream_options as { include_usage?: boolean } | undefined;
  const head = { ...createHead(model), object: 'chat.completion.chunk' };
  const usage = steps.find((step) => step.kind === 'usage');
  const counts = usage === undefined ? countTokens(body, steps) : usage.counts;
  const pacer = createPacer();

  const send = (value: unknown): void => {
    response.write(`data: ${JSON.stringify(value)}\n\n`);
  };
  const sendDelta = (delta: object, finishReason: string | null = null, extra: object = {}): void => {
    send({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }], ...extra });
  };
  const sendTokens = async (deltas: readonly object[]): Promise<void> => {
    for (const delta of deltas) {
      await pacer.next();
      if (response.closed || response.destroyed) return;
      sendDelta(delta);
    }
  };
  const sendFinish = (reason: string): void => {
    const isBeside = usage?.place === 'finish-chunk';
    const extra = isBeside
      ? { usage: counts }
      : usage?.place === 'x_groq'
        ? { x_groq: { usage: counts } }
        : {};
    sendDelta({}, reason, extra);
  };

  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.flushHeaders();
  if (!hasRawBeginning(steps)) sendDelta({ role: 'assistant', content: '', refusal: null });
  let hasFinished = false;
  for (const step of steps) {
    if (response.closed || response.destroyed) return;
    switch (step.kind) {
      case 'wait':
        await Promise.race([Bun.sleep(step.ms), waitForClose(response)]);
        break;
      case 'gate':
        await Promise.race([step.opened, waitForClose(response)]);
        break;
      case 'pace':
        pacer.setRate(step.tokensPerSecond);
        break;
      case 'chunk':
        send(step.chunk);
        break;
      case 'raw':
        response.write(step.bytes);
        break;
      case 'finish':
        sendFinish(step.reason);
        hasFinished = true;
        break;
      case 'end':
        response.end();
        return;
      case 'reset':
        await waitUntilRead(response);
        response.socket?.destroy();
        return;
      case 'hang':
        await waitForClose(response);
        return;
      default:
        await sendTokens(toDeltas(step));
    }
  }
  if (!hasFinished) sendFinish(toFinishReason(steps));
  const isOwnChunk = usage === undefined ? options?.include_usage === true : usage.place === 'own-chunk';
  if (isOwnChunk && counts !== null) send({ ...head, choices: [], usage: counts });
  if (!steps.some((step) => step.kind === 'no-done')) response.write('data: [DONE]\n\n');
  response.end();
}

/** A script that begins with bytes of its own says everything itself. */
function hasRawBeginning(steps: readonly Step[]): boolean {
  return steps[0]?.kind === 'raw' || steps[0]?.kind === 'chunk';
}

function toDeltas(step: Step): readonly object[] {
  switch (step.kind) {
    case 'text':
      return step.tokens.map((content) => ({ content }));
    case 'reasoning':
      return step.tokens.map((text) => ({ [step.field]: text }));
    case 'refusal':
      return step.tokens.map((refusal) => ({ refusal }));
    case 'calls':
      return toCallDeltas(step).map((calls) => ({ tool_calls: calls }));
    default:
      return [];
  }
}

async function playDocument({ body, steps, response }: Turn): Promise<void> {
  const rawSteps = steps.filter((step) => step.kind === 'raw');
  for (const step of steps) {
    if (step.kind === 'wait') await Promise.race([Bun.sleep(step.ms), waitForClose(response)]);
    if (step.kind === 'gate') await Promise.race([step.opened, waitForClose(response)]);
    if (step.kind === 'hang') await waitForClose(response);
    if (step.kind === 'reset') response.socket?.destroy();
    if (response.closed || response.destroyed) return;
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  if (rawSteps.length > 0) {
    for (const step of rawSteps) response.write(step.bytes);
    response.end();
    return;
  }
  response.end(JSON.stringify(toCompletion(body, steps)));
}

/** The completion that the steps make, as one document. */
export function toCompletion(body: Readonly<Record<string, unknown>>, steps: readonly Step[]): unknown {
  const join = (kind: 'text' | 'reasoning' | 'refusal'): string =>
    steps.flatMap((step) => (step.kind === kind ? (step as StepOf<'text'>).tokens : [])).join('');
  const calls = steps
    .filter((step) => step.kind === 'calls')
    .flatMap((step) => toCallDeltas({ ...step, style: 'whole-together' }).flat())
    .map((call) => ({ ...(call as object), index: undefined }));
  const finish = steps.find((step) => step.kind === 'finish');
  const usage = steps.find((step) => step.kind === 'usage');
  const thoughts = join('reasoning');
  const message = {
    role: 'assistant',
    content: join('text') || null,
    refusal: join('refusal') || null,
    ...(thoughts === '' ? {} : { reasoning_content: thoughts }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  const reason = finish?.reason ?? toFinishReason(steps);
  const counts = usage === undefined ? countTokens(body, steps) : usage.counts;
  return {
    ...createHead(String(body.model)),
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: reason }],
    ...(counts === null ? {} : { usage: counts }),
  };
}

function createHead(model: string): object {
  const id = `chatcmpl-${crypto.randomUUID()}`;
  return { id, object: '', created: 1_700_000_000, model, system_fingerprint: 'fp_scripted' };
}

function toFinishReason(steps: readonly Step[]): string {
  return steps.some((step) => step.kind === 'calls') ? 'tool_calls' : 'stop';
}

/** A quarter of the request's characters, and one a token said. */
export function countTokens(body: Readonly<Record<string, unknown>>, steps: readonly Step[]): UsageCounts {
  const said = steps.reduce((sum, step) => sum + toDeltas(step).length, 0);
  const prompt = Math.ceil(JSON.stringify(body.messages ?? '').length / 4);
  return { prompt_tokens: prompt, completion_tokens: said, total_tokens: prompt + said };
}

/** Waits so that tokens come at a rate: by the time since the first one, so that late timers do not add up. */
function createPacer() {
  let intervalMs = 0;
  let startedMs = 0;
  let count = 0;
  return {
    setRate(tokensPerSecond: number): void {
      intervalMs = 1000 / tokensPerSecond;
      startedMs = performance.now();
      count = 0;
    },
    async next(): Promise<void> {
      if (intervalMs === 0) return;
      const dueMs = startedMs + count * intervalMs;
      count += 1;
      const leftMs = dueMs - performance.now();
      if (leftMs > 0) await Bun.sleep(leftMs);
    },
  };
}

function sendEmbeddings({ body, response }: Turn): void {
  const inputs = Array.isArray(body.input) && typeof body.input[0] !== 'number' ? body.input : [body.input];
  const dimensions = typeof body.dimensions === 'number' ? body.dimensions : 8;
  const data = inputs.map((input, index) => {
    const vector = toVector(JSON.stringify(input), dimensions);
    const isPacked = body.encoding_format === 'base64';
    const embedding = isPacked ? Buffer.from(vector.buffer).toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  const tokens = Math.ceil(JSON.stringify(body.input ?? '').length / 4);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      object: 'list',
      data,
      model: body.model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }),
  );
}

/** A vector of unit length that follows from the text. */
function toVector(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  for (let at = 0; at < dimensions; at += 1) {
    const hash = createHash('sha256').update(`${at}:${text}`).digest();
    vector[at] = hash.readInt32LE(0) / 2 ** 31;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function waitForClose(response: ServerResponse): Promise<void> {
  if (response.closed || response.destroyed) return Promise.resolve();
  return new Promise((resolve) => response.once('close', () => resolve()));
}

/** For what the client has read to be looked at, too. */
const FLUSH_MS = 20;
/** A client that does not read at all is not waited for any longer. */
const READ_MS_MAX = 5_000;
const READ_POLL_MS = 5;

/**
 * Waits until the client has read what was written: a connection that breaks takes along what nobody has read. Linux tells
 * how much lies in the other end's queue, since it is on this machine; elsewhere only time is given.
 */
async function waitUntilRead({ socket }: ServerResponse): Promise<void> {
  const deadline = performance.now() + READ_MS_MAX;
  while (socket !== null && (await countUnread(socket)) > 0 && performance.now() < deadline) {
    await Bun.sleep(READ_POLL_MS);
  }
  await Bun.sleep(FLUSH_MS);
}

/** Bytes in the receive queue of the other end of the connection. */
async function countUnread({ localPort = 0, remotePort = 0, writableLength }: Socket): Promise<number> {
  if (writableLength > 0) return writableLength;
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'latin1').catch(() => ''));
  const toPort = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of (await Promise.all(tables)).join('\n').split('\n')) {
    // Number, own address, other address, state, what is to be sent and what was received, …
    const [, own = '', other = '', , queues = ''] = line.trim().split(/\s+/);
    if (own.endsWith(toPort(remotePort)) && other.endsWith(toPort(localPort))) {
      return Number.parseInt(queues.split(':')[1] ?? '0', 16);
    }
  }
  return 0;
}
