/**
 * watsonx.ai beside OpenAI's protocol: other paths, `model_id` with a project or space, one name for a choice of tools in
 * words, schemas without what it refuses; another shape of embeddings, lists of models and errors.
 */

import { type JsonRecord, parseJson, toList, toRecord, toText } from '../json-values.ts';

/** The version of the API that these shapes are of. */
export const API_VERSION = '2024-05-31';

const DEPLOYMENT_PREFIX = 'deployment/';

/** Whose account pays. */
export interface Billing {
  readonly projectId: string | null;
  readonly spaceId: string | null;
}

/** What watsonx takes of a chat; it refuses what it does not know. */
const CHAT_FIELDS: readonly string[] = Object.freeze([
  'messages',
  'tools',
  'temperature',
  'max_tokens',
  'top_p',
  'frequency_penalty',
  'presence_penalty',
  'stop',
  'seed',
  'n',
  'logprobs',
  'top_logprobs',
  'response_format',
  'reasoning_effort',
]);

/** Path below the host, with its query. */
export function toPath(endpoint: 'chat' | 'embeddings' | 'models', model: string, isStream: boolean): string {
  const version = `?version=${API_VERSION}`;
  if (endpoint === 'models') return `/ml/v1/foundation_model_specs${version}&limit=200`;
  const isDeployed = model.startsWith(DEPLOYMENT_PREFIX);
  const id = encodeURIComponent(model.slice(DEPLOYMENT_PREFIX.length));
  const root = isDeployed ? `/ml/v1/deployments/${id}/text` : '/ml/v1/text';
  if (endpoint === 'embeddings') return `${root}/embeddings${version}`;
  return `${root}/${isStream ? 'chat_stream' : 'chat'}${version}`;
}

export function toChatBody(body: JsonRecord, billing: Billing): JsonRecord {
  const fields = CHAT_FIELDS.flatMap((name) => {
    const value = body[name];
    return value === undefined || value === null ? [] : [[name, value] as const];
  });
  const choice = body.tool_choice;
  return {
    ...toOwner(body, billing),
    ...Object.fromEntries(fields),
    ...(body.tools === undefined ? {} : { tools: toTools(body.tools) }),
    ...(typeof choice === 'string' ? { tool_choice_option: choice } : {}),
    ...(toRecord(choice) === null ? {} : { tool_choice: choice }),
  };
}

export function toEmbeddingsBody(body: JsonRecord, billing: Billing): JsonRecord {
  const { input } = body;
  return { ...toOwner(body, billing), inputs: Array.isArray(input) ? input : [input] };
}

/** A deployment knows its model and its account. */
function toOwner(body: JsonRecord, { projectId, spaceId }: Billing): JsonRecord {
  const model = toText(body.model) ?? '';
  if (model.startsWith(DEPLOYMENT_PREFIX)) return {};
  return { model_id: model, ...(projectId === null ? { space_id: spaceId } : { project_id: projectId }) };
}

/** Strictness is refused, and so is what goes with it. */
function toTools(tools: unknown): unknown {
  return toList(tools).map((value) => {
    const tool = toRecord(value);
    const fn = toRecord(tool?.function);
    if (tool === null || fn === null) return value;
    const { strict: _, ...rest } = fn;
    return { ...tool, function: withoutAdditional(rest) };
  });
}

/** Schemas deeper than this are not looked through. */
const DEPTH_MAX = 64;

/** `isNames`: the keys are names of properties, one of which may be called so. */
function withoutAdditional(value: unknown, isNames = false, depth = 0): unknown {
  if (depth > DEPTH_MAX) return value;
  if (Array.isArray(value)) return value.map((entry) => withoutAdditional(entry, false, depth + 1));
  const record = toRecord(value);
  if (record === null) return value;
  const entries = Object.entries(record).filter(([name]) => isNames || name !== 'additionalProperties');
  return Object.fromEntries(
    entries.map(([name, entry]) => [
      name,
      withoutAdditional(entry, !isNames && name === 'properties', depth + 1),
    ]),
  );
}

/** OpenAI's list, of `{results: [{embedding}], input_token_count}`. */
export function toEmbeddingList(text: string, model: string): string {
  const reply = toRecord(parseJson(text));
  if (reply === null || !Array.isArray(reply.results)) return text;
  const tokens = typeof reply.input_token_count === 'number' ? reply.input_token_count : 0;
  const data = reply.results.map((result, index) => ({
    object: 'embedding',
    index,
    embedding: toRecord(result)?.embedding,
  }));
  return JSON.stringify({
    object: 'list',
    data,
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

/** OpenAI's list, of `{resources: [{model_id, provider}]}`. */
export function toModelList(text: string): string {
  const reply = toRecord(parseJson(text));
  if (reply === null || !Array.isArray(reply.resources)) return text;
  const data = reply.resources.map((resource) => {
    const model = toRecord(resource);
    return { id: model?.model_id, object: 'model', created: 0, owned_by: model?.provider ?? 'ibm' };
  });
  return JSON.stringify({ object: 'list', data });
}

/** OpenAI's error, of `{errors: [{code, message}]}`. */
export function toError(text: string): string {
  const first = toRecord(toList(toRecord(parseJson(text))?.errors)[0]);
  return first === null ? text : JSON.stringify({ error: { message: first.message, code: first.code } });
}
