/** The messages of Chat Completions as the packages take them. */

import type {
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4TextPart,
} from '@ai-sdk/provider';
import { toOutgoingCallId } from '../chat/call-ids.ts';
import { type JsonRecord, parseJson, toList, toRecord, toText } from '../json-values.ts';
import { type ChatMessage, ProviderError } from '../provider.ts';
import { readKeptTurn, toProviderOptions } from './kept-turn.ts';
import { type FileData, parseDataUrl } from './pictures.ts';
import type { PromptRules } from './protocol.ts';

export interface PromptParts {
  readonly messages: readonly ChatMessage[];
  readonly rules: PromptRules;
  /** Whose kept turns can be given back. */
  readonly provider: string;
  /** By their addresses; for providers that fetch none themselves. */
  readonly pictures: ReadonlyMap<string, FileData>;
}

type UserPart = LanguageModelV4TextPart | LanguageModelV4FilePart;
type AssistantMessage = Extract<LanguageModelV4Message, { role: 'assistant' }>;
type ToolMessage = Extract<LanguageModelV4Message, { role: 'tool' }>;

/** Stands where a provider wants a user to begin and the window of messages begins later. */
const EARLIER = '[The conversation begins earlier.]';
const NO_OUTPUT = '[no output]';

/** Throws `ProviderError` (`invalid_request`) that names the message at fault. */
export function toPrompt(parts: PromptParts): LanguageModelV4Prompt {
  const system: string[] = [];
  const prompt: LanguageModelV4Message[] = [];
  const toolNames = new Map<string, string>();
  for (const [at, message] of parts.messages.entries()) {
    const path = `messages[${at}]`;
    switch (message.role) {
      // All providers take one text of instructions, and some only at the beginning.
      case 'system':
      case 'developer':
        system.push(toPlainText(message.content, path));
        break;
      case 'user':
        addUser(prompt, toUserParts(message.content, path, parts));
        break;
      case 'assistant':
        for (const call of readCalls(message)) toolNames.set(call.id, call.name);
        addAssistant(prompt, message, path, parts);
        break;
      case 'tool':
        addOutput(prompt, toOutput(message, path, toolNames, parts));
        break;
      default:
        throw refuse(`${path}.role`, `'${path}.role' cannot be '${message.role}' with this provider.`);
    }
  }
  return withBeginning(system.filter((text) => text.trim() !== '').join('\n\n'), prompt, parts.rules);
}

function withBeginning(
  system: string,
  prompt: readonly LanguageModelV4Message[],
  rules: PromptRules,
): LanguageModelV4Prompt {
  // Instructions alone are answered as if the user had said them: no provider answers to nothing.
  if (prompt.length === 0) return [toUserMessage(system === '' ? EARLIER : system)];
  const opening = rules.beginsWithUser && prompt[0]?.role !== 'user' ? [toUserMessage(EARLIER)] : [];
  return [...(system === '' ? [] : [{ role: 'system' as const, content: system }]), ...opening, ...prompt];
}

function toUserMessage(text: string): LanguageModelV4Message {
  return { role: 'user', content: [{ type: 'text', text }] };
}

function addUser(prompt: LanguageModelV4Message[], content: UserPart[]): void {
  if (content.length > 0) prompt.push({ role: 'user', content });
}

function toUserParts(content: unknown, path: string, parts: PromptParts): UserPart[] {
  if (typeof content === 'string') return toTextParts(content);
  return toList(content).flatMap((value, at): UserPart[] => {
    const part = toRecord(value) ?? {};
    const place = `${path}.content[${at}]`;
    switch (part.type) {
      case 'text':
        return toTextParts(toText(part.text) ?? '');
      case 'image_url':
        return [toPicturePart(toText(toRecord(part.image_url)?.url) ?? '', place, parts)];
      case 'file':
        return [toFilePart(toRecord(part.file) ?? {}, place)];
      case 'input_audio':
        return [toAudioPart(toRecord(part.input_audio) ?? {}, place)];
      default:
        throw refuse(`${place}.type`, `'${place}.type' is of no kind that this provider takes.`);
    }
  });
}

/** Blank texts are refused by some, and say nothing to any. */
function toTextParts(text: string): LanguageModelV4TextPart[] {
  return text.trim() === '' ? [] : [{ type: 'text', text }];
}

function toPicturePart(
  url: string,
  place: string,
  { rules, pictures }: PromptParts,
): LanguageModelV4FilePart {
  const data = parseDataUrl(url) ?? pictures.get(url) ?? null;
  if (data !== null) return toDataPart(data);
  if (!/^https?:/i.test(url) || !URL.canParse(url)) {
    throw refuse(
      `${place}.image_url.url`,
      `'${place}.image_url.url' must be an http address or a data URL in base64.`,
    );
  }
  if (!rules.takesPictureUrls)
    throw refuse(`${place}.image_url.url`, 'This provider takes no addresses of pictures.');
  return { type: 'file', mediaType: toPictureType(url), data: { type: 'url', url: new URL(url) } };
}

const PICTURE_TYPES: Readonly<Record<string, string>> = Object.freeze({
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
});

/** Vertex wants to be told what it will find: the name is the best guess there is. */
function toPictureType(url: string): string {
  const ending = /\.(\w+)$/.exec(new URL(url).pathname)?.[1]?.toLowerCase() ?? '';
  return PICTURE_TYPES[ending] ?? 'image/jpeg';
}

function toFilePart(file: JsonRecord, place: string): LanguageModelV4FilePart {
  const data = parseDataUrl(toText(file.file_data) ?? '');
  if (data === null) {
    throw refuse(
      `${place}.file.file_data`,
      `'${place}.file.file_data' must be a data URL in base64: this provider knows no file ids.`,
    );
  }
  const filename = toText(file.filename);
  return { ...toDataPart(data), ...(filename === null ? {} : { filename }) };
}

function toAudioPart(audio: JsonRecord, place: string): LanguageModelV4FilePart {
  const [data, format] = [toText(audio.data), toText(audio.format)];
  if (data === null || format === null) {
    throw refuse(`${place}.input_audio`, `'${place}.input_audio' must have 'data' and 'format'.`);
  }
  return toDataPart({ mediaType: format === 'mp3' ? 'audio/mpeg' : `audio/${format}`, data });
}

function toDataPart({ mediaType, data }: FileData): LanguageModelV4FilePart {
  return { type: 'file', mediaType, data: { type: 'data', data } };
}

interface SentCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  readonly extraContent: unknown;
}

function readCalls(message: ChatMessage): SentCall[] {
  if (message.role !== 'assistant') return [];
  return toList(message.tool_calls).flatMap((value): SentCall[] => {
    const call = toRecord(value);
    const fn = toRecord(call?.function);
    if (call === null || fn === null) return [];
    return [
      {
        id: toText(call.id) ?? '',
        name: toText(fn.name) ?? '',
        input: toInput(toText(fn.arguments) ?? ''),
        extraContent: call.extra_content,
      },
    ];
  });
}

/** Providers take objects only: what a model wrote that is none is shown to it as what it is. */
function toInput(text: string): JsonRecord {
  if (text.trim() === '') return {};
  const value = parseJson(text);
  return toRecord(value) ?? (value === null ? {} : { input: value ?? text });
}

function addAssistant(
  prompt: LanguageModelV4Message[],
  message: Extract<ChatMessage, { role: 'assistant' }>,
  path: string,
  { rules, provider }: PromptParts,
): void {
  const kept = readKeptTurn(message.provider_metadata, provider);
  const content: AssistantMessage['content'] = [
    ...kept.thoughts.map(({ text, options }) => ({
      type: 'reasoning' as const,
      text,
      providerOptions: toProviderOptions(rules.optionsName, options),
    })),
    ...toTextParts(toPlainText(message.content, path)),
    ...readCalls(message).map((call) => {
      const options = kept.calls[call.id] ?? readExtraContent(call.extraContent, rules);
      return {
        type: 'tool-call' as const,
        toolCallId: toOutgoingCallId(call.id, rules.callIds),
        toolName: call.name,
        input: call.input,
        ...(options === null ? {} : { providerOptions: toProviderOptions(rules.optionsName, options) }),
      };
    }),
  ];
  // Thoughts that led to nothing said are nothing to be answered.
  if (content.some(({ type }) => type !== 'reasoning')) prompt.push({ role: 'assistant', content });
}

/** A client of Chat Completions sends Gemini's signature back as it came. */
function readExtraContent(extraContent: unknown, { optionsName }: PromptRules): JsonRecord | null {
  if (optionsName !== 'google') return null;
  const signature = toText(toRecord(toRecord(extraContent)?.google)?.thought_signature);
  return signature === null ? null : { thoughtSignature: signature };
}

function toOutput(
  message: Extract<ChatMessage, { role: 'tool' }>,
  path: string,
  toolNames: ReadonlyMap<string, string>,
  { rules }: PromptParts,
): ToolMessage['content'][number] {
  const id = toText(message.tool_call_id) ?? '';
  const toolName = toolNames.get(id);
  if (toolName === undefined) {
    throw refuse(
      `${path}.tool_call_id`,
      `'${path}' must answer a call of a message of the assistant before it.`,
    );
  }
  const text = toPlainText(message.content, path);
  const value = text.trim() === '' && !rules.takesBlankOutputs ? NO_OUTPUT : text;
  return {
    type: 'tool-result',
    toolCallId: toOutgoingCallId(id, rules.callIds),
    toolName,
    output: { type: 'text', value },
  };
}

/** Outputs of calls that were made at once belong into one message. */
function addOutput(prompt: LanguageModelV4Message[], output: ToolMessage['content'][number]): void {
  const latest = prompt.at(-1);
  if (latest?.role === 'tool') latest.content.push(output);
  else prompt.push({ role: 'tool', content: [output] });
}

function toPlainText(content: unknown, path: string): string {
  if (typeof content === 'string') return content;
  return toList(content)
    .map((value, at) => {
      const part = toRecord(value) ?? {};
      if (part.type === 'text') return toText(part.text) ?? '';
      if (part.type === 'refusal') return toText(part.refusal) ?? '';
      throw refuse(`${path}.content[${at}].type`, `'${path}.content[${at}]' must be a text.`);
    })
    .join('');
}

export function refuse(param: string, message: string): ProviderError {
  return new ProviderError('invalid_request', message, { status: 400, param });
}
