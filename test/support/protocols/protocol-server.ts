/**
 * A scripted upstream that speaks the protocols of Anthropic, Google, Amazon Bedrock, Cohere, Mistral and Voyage, each with
 * its true wire format, and misbehaves in each one's own way.
 *
 * As with `scripted-upstream.ts` the model's name says what is answered, and a script is one list of steps a turn. The path of
 * a request tells its protocol, so one server serves all of them; Mistral's and Voyage's requests for embeddings look alike.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { splitTokens } from '../upstream-steps.ts';
import { anthropicSpeaker } from './anthropic.ts';
import { bedrockSpeaker } from './bedrock.ts';
import { cohereSpeaker } from './cohere.ts';
import { geminiSpeaker } from './gemini.ts';
import { mistralSpeaker } from './mistral.ts';
import type { Counts, ProtocolStep } from './protocol-steps.ts';
import type { Bytes, FinishName, ProtocolRequest, Speaker, Voice } from './voice.ts';

export interface ProtocolRecord {
  /** Whose protocol it was; null where none knows the path. */
  readonly protocol: string | null;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As it came. */
  readonly text: string;
  /** The parsed body; an empty record where there was none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of many shapes.
  readonly body: any;
  readonly model: string | null;
  /** Settles when the answer is over: `complete`, or `aborted` where the client left or the script broke it off. */
  readonly ended: Promise<'complete' | 'aborted'>;
}

export type Script = (
  body: string,
  headers: ProtocolRecord['headers'],
) => readonly (readonly ProtocolStep[])[];

export interface ProtocolServer {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly origin: string;
  readonly requests: readonly ProtocolRecord[];
  script(name: string, ...turns: readonly (readonly ProtocolStep[])[]): string;
  /** A script whose turns follow from what is asked: it is given the body of each request, and its headers. */
  scriptBy(name: string, script: Script): string;
  requestsFor(model: string): readonly ProtocolRecord[];
  close(): Promise<void>;
}

const SPEAKERS: readonly Speaker[] = [
  anthropicSpeaker,
  bedrockSpeaker,
  cohereSpeaker,
  geminiSpeaker,
  mistralSpeaker,
];
const COUNTS: Counts = Object.freeze({ prompt: 10, completion: 5, cached: 0, thoughts: 0 });
const BODY_BYTES_MAX = 64 * 1024 * 1024;
const FLUSH_MS = 5;

interface Exchange {
  readonly speaker: Speaker;
  readonly request: ProtocolRequest;
  readonly body: Readonly<Record<string, unknown>>;
  readonly response: ServerResponse;
}

export async function startProtocolServer(): Promise<ProtocolServer> {
  const requests: ProtocolRecord[] = [];
  const scripts = new Map<string, Script>();
  const used = new Map<ProtocolStep, number>();

  const addScript = (name: string, script: Script): string => {
    if (scripts.has(name)) throw new Error(`The script '${name}' is there already.`);
    scripts.set(name, script);
    return name;
  };

  const chooseSteps = (
    { model, turn }: ProtocolRequest,
    ...asked: Parameters<Script>
  ): readonly ProtocolStep[] => {
    const turns = scripts.get(model)?.(...asked);
    if (turns === undefined) throw new Error(`No script for the model '${model}'.`);
    return skipUsedUp(turns[Math.min(turn, turns.length - 1)] ?? [], used);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = await readBody(request);
    const body = parseBody(text);
    const path = request.url ?? '/';
    const found = findSpeaker(path, body, request.headers);
    const ended = new Promise<'complete' | 'aborted'>((resolve) => {
      response.once('close', () => resolve(response.writableFinished ? 'complete' : 'aborted'));
    });
    requests.push({
      protocol: found?.speaker.id ?? null,
      method: request.method ?? 'GET',
      path,
      headers: request.headers,
      text,
      body,
      model: found?.request.model ?? null,
      ended,
    });
    if (found === null) return sendJson(response, 404, { error: { message: `No such path: ${path}` } });
    const exchange = { ...found, body, response };
    const { kind, model } = found.request;
    if (kind === 'models') return sendJson(response, 200, found.speaker.listModels([...scripts.keys()]));
    const steps =
      scripts.has(model) || kind === 'chat' ? chooseSteps(found.request, text, request.headers) : [];
    if (answerBefore(exchange, steps)) return;
    if (kind === 'embeddings') return sendJson(response, 200, found.speaker.embed(body, model));
    await play(exchange, steps);
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 500, { error: { message: String(error) } });
      else response.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    script: (name, ...turns) => addScript(name, () => turns),
    scriptBy: addScript,
    requestsFor: (model) => requests.filter((request) => request.model === model),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function findSpeaker(
  path: string,
  body: Readonly<Record<string, unknown>>,
  headers: IncomingMessage['headers'],
): { speaker: Speaker; request: ProtocolRequest } | null {
  for (const speaker of SPEAKERS) {
    // Anthropic's, Cohere's and Mistral's lists of models have the same path.
    if (path.startsWith('/v1/models') && speaker.id !== toListOwner(path, headers)) continue;
    const request = speaker.read(path, body);
    if (request !== null) return { speaker, request };
  }
  return null;
}

function toListOwner(path: string, headers: IncomingMessage['headers']): string {
  if (headers['anthropic-version'] !== undefined) return 'anthropic';
  return path.includes('page_size=') ? 'cohere' : 'mistral';
}

/** Drops the failing steps that have been used up. */
function skipUsedUp(
  steps: readonly ProtocolStep[],
  used: Map<ProtocolStep, number>,
): readonly ProtocolStep[] {
  for (const [at, step] of steps.entries()) {
    if (step.kind !== 'refusal-status' && step.kind !== 'status') return steps.slice(at);
    const count = used.get(step) ?? 0;
    if (count < step.times) {
      used.set(step, count + 1);
      return [step];
    }
  }
  return [];
}

/** True where the first step answers, or never will, before any stream begins. */
function answerBefore({ speaker, response }: Exchange, steps: readonly ProtocolStep[]): boolean {
  const [first] = steps;
  switch (first?.kind) {
    case 'refusal-status': {
      const { status, headers, body } = speaker.refuse(first.status, first.message, first.retrySeconds);
      sendJson(response, status, body, headers);
      return true;
    }
    case 'status':
      response.writeHead(first.status, first.headers).end(first.body);
      return true;
    case 'reset':
      response.socket?.destroy();
      return true;
    case 'hang':
      return true;
    default:
      return false;
  }
}

async function play({ speaker, request, response }: Exchange, steps: readonly ProtocolStep[]): Promise<void> {
  const voice = speaker.createVoice(request.model);
  const counts = steps.find((step) => step.kind === 'counts')?.counts ?? COUNTS;
  const write = (frames: readonly Bytes[]): void => {
    for (const frame of frames) response.write(frame);
  };
  response.writeHead(200, { 'content-type': speaker.contentType, 'x-amzn-requestid': '1c2d3e4f' });
  response.flushHeaders();
  write(voice.begin(counts));
  let hasFinished = false;
  for (const [at, step] of steps.entries()) {
    if (response.closed || response.destroyed) return;
    switch (step.kind) {
      case 'wait':
        await Promise.race([Bun.sleep(step.ms), waitForClose(response)]);
        break;
      case 'raw':
        response.write(step.bytes);
        break;
      case 'finish':
        write(voice.finish(step.reason as FinishName, counts));
        hasFinished = true;
        break;
      case 'fault':
        write(voice.fault(step.message));
        hasFinished = true;
        break;
      case 'end':
        response.end();
        return;
      case 'reset':
        // What was written before must reach the client first.
        await Bun.sleep(FLUSH_MS);
        response.socket?.destroy();
        return;
      case 'hang':
        await waitForClose(response);
        return;
      default:
        write(say(voice, step, steps[at - 1]));
    }
  }
  const calls = steps.some((step) => step.kind === 'calls');
  if (!hasFinished) write(voice.finish(calls ? 'tool_calls' : 'stop', counts));
  response.end();
}

function say(voice: Voice, step: ProtocolStep, before: ProtocolStep | undefined): Bytes[] {
  switch (step.kind) {
    case 'text':
      return step.tokens.flatMap((token) => voice.text(token));
    case 'reasoning':
      return step.tokens.flatMap((token) => voice.think(token));
    case 'signature':
      return before?.kind === 'reasoning' ? voice.sign(step.value) : [];
    case 'calls':
      return step.calls.flatMap((call, index) => {
        const text = typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments);
        // Only the first of parallel calls carries a signature.
        const signature = index === 0 && before?.kind === 'signature' ? before.value : null;
        return voice.call({ index, name: call.name, pieces: splitTokens(text), signature });
      });
    default:
      return [];
  }
}

function waitForClose(response: ServerResponse): Promise<void> {
  if (response.closed || response.destroyed) return Promise.resolve();
  return new Promise((resolve) => response.once('close', () => resolve()));
}

function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) throw new Error('The body is too large.');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parseBody(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
