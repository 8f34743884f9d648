/** Requests to the operations that the server's API document lists: such as must be taken, and such as nobody should send. */

import type { TSchema } from '@sinclair/typebox';
import type { Operation } from '../../../src/schemas/operation.ts';
import type { Random } from '../seeded-random.ts';
import { MODEL, type Params } from './known-objects.ts';
import { createSchemaValues, type Hint } from './schema-values.ts';
import {
  toBrokenText,
  toMutated,
  WILD_CONTENT_TYPES,
  WILD_HEADERS,
  WILD_PATH_PARTS,
  WILD_QUERY_VALUES,
} from './wild-values.ts';

export interface FuzzRequest {
  readonly operationId: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  /** Whether the server must take it. */
  readonly isValid: boolean;
}

interface Target {
  readonly operationId: string;
  readonly operation: Operation;
  readonly params: Params;
}

const BOUNDARY = 'fuzz-boundary';
const MUTABLE_CHARACTERS_MAX = 10_000;

/** As a good client sends it: everything that it names is there, and every rule that no schema can tell is kept. */
export function toValidRequest(random: Random, target: Target): FuzzRequest {
  const { operationId, operation, params } = target;
  const values = createSchemaValues(random, createHint(params));
  const query = new URLSearchParams();
  for (const { name, in: place, schema } of operation.parameters) {
    if (place !== 'query' || !random.chance(0.5)) continue;
    if (name === 'metadata') query.append('metadata[key]', 'value');
    else if (name !== 'after' && name !== 'before' && name !== 'run_id') {
      for (const value of [values.toValue(schema, `?${name}`)].flat()) query.append(name, String(value));
    }
  }
  return {
    operationId,
    method: operation.method,
    path: toPath(operation, params) + (query.size === 0 ? '' : `?${query}`),
    ...toBody(random, target, (schema) => {
      const body = values.toValue(schema);
      keepRules(operationId, body, params);
      return body;
    }),
    isValid: true,
  };
}

/** The same, spoilt in one to three ways. */
export function toSpoiltRequest(random: Random, target: Target): FuzzRequest {
  let request: FuzzRequest = { ...toValidRequest(random, target), isValid: false };
  const ways = [spoilBody, spoilBody, spoilBody, spoilText, spoilPath, spoilQuery, spoilHeaders, spoilType];
  for (let count = random.integer(1, 3); count > 0; count -= 1) {
    request = random.pick(ways)(random, request, target);
  }
  return request;
}

// ——— Valid ———

/** What the schemas of requests do not say: names of what is there. */
function createHint(params: Params): Hint {
  let functions = 0;
  const fixed: Readonly<Record<string, unknown>> = {
    model: MODEL,
    file_id: params.file_id,
    assistant_id: params.assistant_id,
    vector_store_id: params.vector_store_id,
    vector_store_ids: [params.vector_store_id],
    file_ids: [params.file_id],
    part_ids: [params.part_id],
    filename: 'a.jsonl',
    mime_type: 'text/plain',
    url: 'https://example.com/a.png',
    tool_choice: 'auto',
    purpose: 'batch',
    query: 'bytes',
    n: 2,
    static: { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 },
  };
  return (place) => {
    if (place.endsWith('image_file.file_id')) return params.picture_id;
    if (place.endsWith('json_schema.name')) return 'a_schema';
    if (place.endsWith('function.name')) {
      functions += 1;
      return `function_${functions}`;
    }
    return fixed[place.slice(place.lastIndexOf('.') + 1)];
  };
}

// biome-ignore lint/suspicious/noExplicitAny: bodies of any operation.
type AnyBody = any;

/** Rules between fields. Changes the body. */
function keepRules(operationId: string, body: AnyBody, params: Params): void {
  const { call_id: callId, file_id: fileId } = params;
  delete body.md5;
  if (body.tool_outputs !== undefined) body.tool_outputs = [{ tool_call_id: callId, output: 'sunny' }];
  if (body.truncation_strategy?.type === 'last_messages') body.truncation_strategy.last_messages ??= 1;
  const messages = [
    body,
    ...(body.messages ?? []),
    ...(body.thread?.messages ?? []),
    ...(body.additional_messages ?? []),
  ];
  for (const { attachments } of messages) for (const one of attachments ?? []) one.file_id ??= fileId;
  for (const { tool_resources: resources } of [body, body.thread ?? {}]) {
    if (resources?.file_search?.vector_stores !== undefined) delete resources.file_search.vector_store_ids;
  }
  if (body.filters !== undefined) keepFilter(body.filters);
  // A server without code interpreter keeps such an assistant, and runs nothing with it.
  if (operationId !== 'createAssistant' && Array.isArray(body.tools)) {
    body.tools = body.tools.filter(({ type }: { type: string }) => type !== 'code_interpreter');
  }
  if (operationId === 'createVectorStoreFileBatch') {
    if (body.files === undefined) body.file_ids ??= [fileId];
    else delete body.file_ids;
  }
}

function keepFilter(filter: AnyBody): void {
  if (Array.isArray(filter.filters)) {
    for (const part of filter.filters) keepFilter(part);
    return;
  }
  if (filter.type === 'in' || filter.type === 'nin') filter.value = ['a', 1];
  else if (filter.type === 'eq' || filter.type === 'ne') filter.value = 'a';
  else filter.value = 1;
}

function toPath(operation: Operation, params: Params): string {
  return `/v1${operation.path.replace(/\{(\w+)\}/g, (_, name) => params[name] ?? 'none')}`;
}

type Body = Pick<FuzzRequest, 'headers' | 'body'>;

function toBody(random: Random, { operation }: Target, toValue: (schema: TSchema) => unknown): Body {
  const { request } = operation;
  if (request === null) return { headers: {}, body: null };
  const json = request.content['application/json'];
  if (json !== undefined) {
    if (!request.required && random.chance(0.2)) return { headers: {}, body: null };
    return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(toValue(json)) };
  }
  const field = operation.path.endsWith('/parts') ? 'data' : 'file';
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    body: toForm(random, field),
  };
}

function toForm(random: Random, field: string): string {
  const parts = [
    `content-disposition: form-data; name="${field}"; filename="a.txt"\r\n\r\nsome bytes`,
    ...(field === 'file' ? [`content-disposition: form-data; name="purpose"\r\n\r\nassistants`] : []),
  ];
  if (random.chance(0.5)) parts.reverse();
  return `${parts.map((part) => `--${BOUNDARY}\r\n${part}\r\n`).join('')}--${BOUNDARY}--\r\n`;
}

// ——— Spoilt ———

type Spoil = (random: Random, request: FuzzRequest, target: Target) => FuzzRequest;

const spoilBody: Spoil = (random, request, target) => {
  if (typeof request.body !== 'string') return spoilQuery(random, request, target);
  if (request.body.startsWith(`--${BOUNDARY}`))
    return { ...request, body: toBrokenForm(random, request.body) };
  // What has been spoilt before may be too deep to be written again.
  if (request.body.length > MUTABLE_CHARACTERS_MAX) return request;
  return { ...request, body: JSON.stringify(toMutated(random, tryParse(request.body))) ?? null };
};

const spoilText: Spoil = (random, request) => {
  if (typeof request.body !== 'string') return { ...request, body: '{"unasked":true}' };
  return { ...request, body: toBrokenText(random, request.body) };
};

/** Another id, of another kind, or nothing that is one. */
const spoilPath: Spoil = (random, request, { operation, params }) => {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
  if (names.length === 0) return { ...request, path: `${request.path}/${random.pick(WILD_PATH_PARTS)}` };
  const name = random.pick(names);
  // What others need must not be deleted.
  const wild =
    operation.method !== 'DELETE' && random.chance(0.4)
      ? random.pick(Object.values(params))
      : random.pick(WILD_PATH_PARTS);
  return { ...request, path: toPath(operation, { ...params, [name]: wild }) };
};

const spoilQuery: Spoil = (random, request, { operation, params }) => {
  const own = operation.parameters.filter(({ in: place }) => place === 'query').map(({ name }) => name);
  const names = [...own, 'limit', 'after', 'before', 'include[]', 'metadata[a]', 'metadata[', 'unknown', '%'];
  const pairs = Array.from({ length: random.integer(1, 4) }, () => {
    const value = random.chance(0.3) ? random.pick(Object.values(params)) : random.pick(WILD_QUERY_VALUES);
    return random.chance(0.1) ? random.pick(names) : `${random.pick(names)}=${value}`;
  });
  return { ...request, path: `${request.path}${request.path.includes('?') ? '&' : '?'}${pairs.join('&')}` };
};

const spoilHeaders: Spoil = (random, request) => {
  const added = Array.from({ length: random.integer(1, 3) }, () => random.pick(WILD_HEADERS));
  return { ...request, headers: { ...request.headers, ...Object.fromEntries(added) } };
};

const spoilType: Spoil = (random, request) => ({
  ...request,
  headers: { ...request.headers, 'content-type': random.pick(WILD_CONTENT_TYPES) },
});

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function toBrokenForm(random: Random, form: string): string {
  const part = (head: string, body = 'x') => `--${BOUNDARY}\r\n${head}\r\n\r\n${body}\r\n`;
  const end = `--${BOUNDARY}--\r\n`;
  const ways: readonly (() => string)[] = [
    () => form.slice(0, random.integer(0, form.length - 1)),
    () => form.replaceAll('\r\n', '\n'),
    () => form.replaceAll(`--${BOUNDARY}`, '--other'),
    () => form.replace('filename="a.txt"', 'filename="../../\u0000/etc/passwd"'),
    () => form.replace('filename="a.txt"', `filename="${'n'.repeat(20_000)}"`),
    () => form.replace('filename="a.txt"', "filename*=UTF-8''%ff%fe"),
    () => form.replace('filename="a.txt"', 'filename=""'),
    () => form.replace('form-data', 'attachment'),
    () => form.replace('name="purpose"', 'name="purpose[]"'),
    () => form.replace('assistants', random.pick(['', 'nonsense', 'x'.repeat(100_000), '\u0000'])),
    () => form + form,
    () => end,
    () => '',
    () => part('content-disposition: form-data') + end,
    () => part(`content-disposition: form-data; name="${'f'.repeat(20_000)}"`) + end,
    () => part(`x-header: ${'h'.repeat(100_000)}`) + form,
    () => part('content-disposition: form-data; name="expires_after[seconds]"', '-1') + form,
    () => part('content-disposition: form-data; name="expires_after[anchor]"', 'nowhere') + form,
    () =>
      Array.from({ length: 500 }, (_, at) => part(`content-disposition: form-data; name="f${at}"`)).join('') +
      form,
    () => part('content-disposition: form-data; name="file"; filename="b.txt"') + form,
  ];
  return random.pick(ways)();
}
