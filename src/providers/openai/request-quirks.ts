/** Requests as servers take them that speak OpenAI's protocol, but not all of it. What a server takes stays as it came. */

import { type CallIdRule, toOutgoingCallId } from '../chat/call-ids.ts';
import { type JsonRecord, toList, toRecord } from '../json-values.ts';
import { ProviderError, type Quirks, type UpstreamStyle } from '../provider.ts';
import { isEmpty } from './wire-call.ts';

/**
 * The body of a chat. Throws `ProviderError` (`invalid_request`) for what the server cannot do and cannot be left out:
 * tools, pictures.
 */
export function toChatBody(
  body: JsonRecord,
  { provider, quirks }: Pick<UpstreamStyle, 'provider' | 'quirks'>,
): JsonRecord {
  // Nearly all requests of OpenAI's and of servers of which nothing is known.
  if (isEmpty(quirks) && !hasMetadata(body.messages)) return body;
  const { stream_options: streamOptions, stop, ...rest } = body;
  const changed: Record<string, unknown> = { ...rest };
  // Without them a reply is counted less well, or is longer than need be, and no other.
  if (streamOptions !== undefined && quirks.noStreamOptions !== true) changed.stream_options = streamOptions;
  if (stop !== undefined && quirks.noStop !== true) changed.stop = stop;
  if (quirks.noTools === true) refuseTools(changed);
  nameMaxTokens(changed, quirks.maxTokensName);
  const schemaText = quirks.jsonObjectOnly === true ? takeSchema(changed) : null;
  if (Array.isArray(body.messages)) {
    const messages = toMessages(body.messages, provider, quirks);
    changed.messages = schemaText === null ? messages : addInstruction(messages, schemaText);
  }
  return changed;
}

function hasMetadata(messages: unknown): boolean {
  return toList(messages).some((message) => toRecord(message)?.provider_metadata !== undefined);
}

/** The body of a request for embeddings. */
export function toEmbeddingsBody(body: JsonRecord, quirks: Quirks): JsonRecord {
  if (isEmpty(quirks)) return body;
  const { encoding_format: format, ...rest } = body;
  return {
    ...quirks.embeddingFields,
    ...rest,
    ...(format === undefined || quirks.noEmbeddingFormat === true ? {} : { encoding_format: format }),
  };
}

function refuseTools(body: Record<string, unknown>): void {
  // No tools, and none chosen: nothing is asked for.
  if (toList(body.tools).length === 0) {
    delete body.tools;
    delete body.tool_choice;
    delete body.parallel_tool_calls;
    return;
  }
  throw new ProviderError('invalid_request', 'The models of this provider do not support tools.', {
    status: 400,
    param: 'tools',
  });
}

function nameMaxTokens(body: Record<string, unknown>, name: Quirks['maxTokensName']): void {
  if (name === undefined) return;
  const limit = body.max_completion_tokens ?? body.max_tokens;
  delete body.max_completion_tokens;
  delete body.max_tokens;
  if (limit !== undefined) body[name] = limit;
}

/** The schema that is asked for, in words; the request asks for any JSON object then. Null: none is asked for. */
function takeSchema(body: Record<string, unknown>): string | null {
  const format = toRecord(body.response_format);
  if (format?.type !== 'json_schema') return null;
  body.response_format = { type: 'json_object' };
  const { schema, description } = toRecord(format.json_schema) ?? {};
  const about = typeof description === 'string' && description !== '' ? ` (${description})` : '';
  const shape = schema === undefined ? '' : ` that fits this JSON Schema${about}:\n${JSON.stringify(schema)}`;
  return `Answer with one JSON object and nothing else${shape}`;
}

/** Beside the instructions that are there: several of them are refused by some servers. */
function addInstruction(messages: readonly unknown[], text: string): readonly unknown[] {
  const first = toRecord(messages[0]);
  if ((first?.role === 'system' || first?.role === 'developer') && typeof first.content === 'string') {
    return [{ ...first, content: `${first.content}\n\n${text}` }, ...messages.slice(1)];
  }
  return [{ role: 'system', content: text }, ...messages];
}

function toMessages(messages: readonly unknown[], provider: string, quirks: Quirks): readonly unknown[] {
  const rule = createCallIdRule(quirks);
  const toCallId = (id: string): string => toOutgoingCallId(id, rule);
  return messages.map((value, at) => {
    const message = toRecord(value);
    if (message === null) return value;
    if (quirks.noImages === true) refuseImages(message, at);
    const isDeveloper = message.role === 'developer' && quirks.noDeveloperRole === true;
    const hasCalls = Array.isArray(message.tool_calls);
    const isOutput = typeof message.tool_call_id === 'string';
    if (!isDeveloper && !hasCalls && !isOutput && !('provider_metadata' in message)) return value;
    // What one provider wants back of its own turns is nobody else's.
    const { provider_metadata: metadata, ...rest } = message;
    const extras = toExtras(metadata, provider);
    return {
      ...rest,
      ...(isDeveloper ? { role: 'system' } : {}),
      ...(hasCalls
        ? { tool_calls: toList(message.tool_calls).map((call) => toCall(call, extras, toCallId)) }
        : {}),
      ...(isOutput ? { tool_call_id: toCallId(String(message.tool_call_id)) } : {}),
    };
  });
}

/** What has to come back with calls, by their stored ids; nothing where another provider made them. */
function toExtras(metadata: unknown, provider: string): JsonRecord {
  const own = toRecord(metadata);
  return own?.provider === provider ? (toRecord(own.extra_content) ?? {}) : {};
}

function refuseImages(message: JsonRecord, at: number): void {
  const has = toList(message.content).some((part) => toRecord(part)?.type === 'image_url');
  if (!has) return;
  throw new ProviderError('invalid_request', 'The models of this provider take no pictures.', {
    status: 400,
    param: `messages[${at}].content`,
  });
}

function toCall(value: unknown, extras: JsonRecord, toCallId: (id: string) => string): unknown {
  const call = toRecord(value);
  if (call === null || typeof call.id !== 'string') return value;
  const extra = extras[call.id];
  return { ...call, id: toCallId(call.id), ...(extra === undefined ? {} : { extra_content: extra }) };
}

/** Null: the server takes any. */
function createCallIdRule({ toolCallIds }: Quirks): CallIdRule | null {
  if (toolCallIds === undefined) return null;
  return { pattern: new RegExp(toolCallIds.pattern), characters: toolCallIds.length };
}
