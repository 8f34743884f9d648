/**
 * Model servers on this machine, found at start.
 *
 * They are known by what they answer, not by their port: anything may listen on 8080. Every port is asked for its
 * list of models; only one that has a list is asked who it is.
 */

import { parseJson, toList, toRecord, toText } from '../json-values.ts';
import { toModelInfos } from '../openai/models.ts';
import type { FetchPort } from '../outbound/upstream.ts';
import { type ModelInfo, ProviderError } from '../provider.ts';

export type LocalServerKind = 'ollama' | 'lm_studio' | 'llama_cpp' | 'vllm';

export interface LocalServer {
  readonly kind: LocalServerKind;
  /** With its version, as `http://127.0.0.1:11434/v1`. */
  readonly baseUrl: string;
  readonly models: readonly ModelInfo[];
}

/** Where the four listen unless told otherwise, in the order in which they are preferred. */
export const LOCAL_PORTS: readonly number[] = Object.freeze([11434, 1234, 8080, 8000]);
/** For all of them together: nobody shall notice it at start. */
export const DETECTION_MS = 300;
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Our own servers say so in every answer. */
const OWN_HEADER = 'x-understudy-version';

export interface DetectionOptions {
  readonly fetch: FetchPort;
  readonly ports?: readonly number[];
  readonly timeoutMs?: number;
}

interface ProbeAnswer {
  readonly headers: Headers;
  readonly text: string;
}

/** A GET on this machine; null for anything but a timely 200 that is not our own. */
type Probe = (path: string) => Promise<ProbeAnswer | null>;

/** The servers that answer, in the order of the ports. Never throws. */
export async function findLocalServers(options: DetectionOptions): Promise<readonly LocalServer[]> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), options.timeoutMs ?? DETECTION_MS);
  try {
    const ports = options.ports ?? LOCAL_PORTS;
    const found = await Promise.all(
      ports.map((port) => identifyServer(port, options.fetch, deadline.signal)),
    );
    return found.filter((server) => server !== null);
  } finally {
    clearTimeout(timer);
  }
}

async function identifyServer(
  port: number,
  fetch: FetchPort,
  signal: AbortSignal,
): Promise<LocalServer | null> {
  const origin = `http://127.0.0.1:${port}`;
  const probe = createProbe(origin, fetch, signal);
  const list = await probe('/v1/models');
  if (list === null) return null;
  const models = readModels(list.text);
  if (models === null) return null;
  const kind = await identifyKind(list, models, probe);
  return kind === null ? null : { kind, baseUrl: `${origin}/v1`, models };
}

async function identifyKind(
  list: ProbeAnswer,
  models: readonly ModelInfo[],
  probe: Probe,
): Promise<LocalServerKind | null> {
  const owners = new Set(models.map((model) => model.ownedBy));
  if (list.headers.get('server')?.startsWith('llama.cpp') === true || owners.has('llamacpp'))
    return 'llama_cpp';
  const [root, ollamaVersion, studioModels, props, version] = await Promise.all([
    probe('/'),
    probe('/api/version'),
    probe('/api/v0/models'),
    probe('/props'),
    probe('/version'),
  ]);
  if (root?.text.includes('Ollama is running') === true) return 'ollama';
  if (owners.has('vllm') && hasText(version, 'version')) return 'vllm';
  const isStudio = isStudioList(studioModels) || owners.has('organization_owner');
  // LM Studio without a model has nothing to list, but a way of its own to say that it does not know a path.
  if (isStudio || root?.text.includes('Unexpected endpoint or method') === true) return 'lm_studio';
  if (isLlamaProps(props)) return 'llama_cpp';
  return hasText(ollamaVersion, 'version') && !hasText(version, 'version') ? 'ollama' : null;
}

function createProbe(origin: string, fetch: FetchPort, signal: AbortSignal): Probe {
  return async (path) => {
    try {
      const response = await fetch(`${origin}${path}`, {
        method: 'GET',
        headers: { accept: 'application/json, text/plain' },
        redirect: 'manual',
        signal,
        proxy: false,
      });
      if (response.status !== 200 || response.headers.has(OWN_HEADER)) {
        await response.body?.cancel();
        return null;
      }
      return { headers: response.headers, text: await readText(response) };
    } catch {
      // Nobody there, or too slow, or no HTTP: all the same here.
      return null;
    }
  };
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > ANSWER_BYTES_MAX) throw new Error('The answer is too long.');
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function readModels(text: string): readonly ModelInfo[] | null {
  try {
    return toModelInfos(text);
  } catch (error) {
    if (error instanceof ProviderError) return null;
    throw error;
  }
}

function hasText(answer: ProbeAnswer | null, name: string): boolean {
  return answer !== null && toText(toRecord(parseJson(answer.text))?.[name]) !== null;
}

/** LM Studio's own list says of each model what kind and format it is. */
function isStudioList(answer: ProbeAnswer | null): boolean {
  if (answer === null) return false;
  const models = toList(toRecord(parseJson(answer.text))?.data);
  return models.some((model) => toText(toRecord(model)?.compatibility_type) !== null);
}

function isLlamaProps(answer: ProbeAnswer | null): boolean {
  if (answer === null) return false;
  const props = toRecord(parseJson(answer.text)) ?? {};
  return 'default_generation_settings' in props && 'total_slots' in props;
}
