/** A request of Chat Completions as the call that the packages take. */

import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  LanguageModelV4Prompt,
  LanguageModelV4ToolChoice,
} from '@ai-sdk/provider';
import { type JsonRecord, toList, toRecord, toText } from '../json-values.ts';
import type { ChatRequest } from '../provider.ts';
import { refuse } from './prompt.ts';
import type { PromptRules } from './protocol.ts';

type Reasoning = NonNullable<LanguageModelV4CallOptions['reasoning']>;

const EFFORTS: ReadonlySet<unknown> = new Set<Reasoning>([
  'none',
  'minimal',
  'low',
  'medium',
  'high',
  'xhigh',
  'max',
]);

/** Throws `ProviderError` (`invalid_request`) that names the parameter at fault. */
export function toCallOptions(
  request: ChatRequest,
  prompt: LanguageModelV4Prompt,
  rules: PromptRules,
): LanguageModelV4CallOptions {
  const fields: JsonRecord = { ...request };
  const { tools, toolChoice } = toToolOptions(request, prompt, rules);
  const reasoning = toReasoning(fields.reasoning_effort, prompt, toolChoice, rules);
  const responseFormat = toResponseFormat(fields.response_format);
  const isSerial = fields.parallel_tool_calls === false && tools.length > 0;
  return {
    prompt,
    ...toNumbers(fields),
    ...toStop(fields.stop),
    ...(tools.length === 0 ? {} : { tools }),
    ...(toolChoice === null ? {} : { toolChoice }),
    ...(reasoning === null ? {} : { reasoning }),
    ...(responseFormat === null ? {} : { responseFormat }),
    ...(isSerial && rules.oneCallAtATime !== null ? { providerOptions: rules.oneCallAtATime } : {}),
  };
}

function toNumbers(fields: JsonRecord): Partial<LanguageModelV4CallOptions> {
  const limit = toNumber(fields, 'max_completion_tokens') ?? toNumber(fields, 'max_tokens');
  const given = {
    maxOutputTokens: limit,
    temperature: toNumber(fields, 'temperature'),
    topP: toNumber(fields, 'top_p'),
    // Not OpenAI's, but sent by many to these providers.
    topK: toNumber(fields, 'top_k'),
    presencePenalty: toPenalty(fields, 'presence_penalty'),
    frequencyPenalty: toPenalty(fields, 'frequency_penalty'),
    seed: toNumber(fields, 'seed'),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
}

function toNumber(fields: JsonRecord, name: string): number | null {
  const value = fields[name];
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw refuse(name, `'${name}' must be a number.`);
}

/** Zero says nothing, and some models refuse to hear it. */
function toPenalty(fields: JsonRecord, name: string): number | null {
  return toNumber(fields, name) || null;
}

function toStop(stop: unknown): Pick<LanguageModelV4CallOptions, 'stopSequences'> {
  const sequences = (typeof stop === 'string' ? [stop] : toList(stop)).filter(
    (text) => toText(text) !== null,
  );
  return sequences.length === 0 ? {} : { stopSequences: sequences.map(String) };
}

interface ToolOptions {
  readonly tools: LanguageModelV4FunctionTool[];
  readonly toolChoice: LanguageModelV4ToolChoice | null;
}

function toToolOptions(request: ChatRequest, prompt: LanguageModelV4Prompt, rules: PromptRules): ToolOptions {
  const offered = toList(request.tools).map((tool, at) => toTool(toRecord(tool) ?? {}, `tools[${at}]`));
  const called = rules.needsToolsForHistory ? toCalledNames(prompt) : new Set<string>();
  // Calls that were made with tools that are offered no more: the provider wants to know what they were.
  const known = new Set(offered.map(({ name }) => name));
  const missing = [...called].filter((name) => offered.length === 0 && !known.has(name));
  const tools = [...offered, ...missing.map(toCalledTool)];
  const choice = offered.length === 0 ? null : toChoice(request.tool_choice);
  if (choice === null) return { tools, toolChoice: null };
  const usable = choice.names === null ? tools : tools.filter(({ name }) => choice.names?.has(name));
  if (choice.toolChoice.type === 'none' && !rules.knowsChoiceNone) {
    // Without tools nothing can be called; but what was called before is only taken with them.
    return { tools: called.size === 0 ? [] : usable, toolChoice: null };
  }
  return { tools: usable, toolChoice: choice.toolChoice };
}

function toTool(tool: JsonRecord, place: string): LanguageModelV4FunctionTool {
  if (tool.type !== 'function') {
    throw refuse(`${place}.type`, `'${place}.type' must be 'function' with this provider.`);
  }
  const fn = toRecord(tool.function) ?? {};
  const description = toText(fn.description);
  return {
    type: 'function',
    name: toText(fn.name) ?? '',
    inputSchema: toInputSchema(fn.parameters),
    ...(description === null ? {} : { description }),
    ...(typeof fn.strict === 'boolean' ? { strict: fn.strict } : {}),
  };
}

/** Every provider insists on an object. */
function toInputSchema(parameters: unknown): LanguageModelV4FunctionTool['inputSchema'] {
  return { type: 'object', properties: {}, ...toRecord(parameters) };
}

function toCalledTool(name: string): LanguageModelV4FunctionTool {
  return { type: 'function', name, inputSchema: toInputSchema(null) };
}

function toCalledNames(prompt: LanguageModelV4Prompt): ReadonlySet<string> {
  const parts = prompt.flatMap((message) => (message.role === 'assistant' ? message.content : []));
  return new Set(parts.flatMap((part) => (part.type === 'tool-call' ? [part.toolName] : [])));
}

interface Choice {
  readonly toolChoice: LanguageModelV4ToolChoice;
  /** The tools that may be called; null: all of them. */
  readonly names: ReadonlySet<string> | null;
}

function toChoice(value: unknown): Choice | null {
  if (value === undefined || value === null) return null;
  if (value === 'auto' || value === 'none' || value === 'required') {
    return { toolChoice: { type: value }, names: null };
  }
  const choice = toRecord(value);
  const name = toText(toRecord(choice?.function)?.name);
  if (choice?.type === 'function' && name !== null) {
    return { toolChoice: { type: 'tool', toolName: name }, names: null };
  }
  const allowed = toRecord(choice?.allowed_tools);
  if (choice?.type === 'allowed_tools' && allowed !== null) {
    const names = toList(allowed.tools).map((tool) => toText(toRecord(toRecord(tool)?.function)?.name) ?? '');
    const type = allowed.mode === 'required' ? 'required' : 'auto';
    return { toolChoice: { type }, names: new Set(names) };
  }
  throw refuse('tool_choice', "'tool_choice' must be 'none', 'auto', 'required', or name a function.");
}

/** Null: not to be said. */
function toReasoning(
  effort: unknown,
  prompt: LanguageModelV4Prompt,
  toolChoice: LanguageModelV4ToolChoice | null,
  rules: PromptRules,
): Reasoning | null {
  if (effort === undefined || effort === null) return null;
  if (!isReasoning(effort))
    throw refuse('reasoning_effort', "'reasoning_effort' has no value that is known.");
  const isForced = toolChoice?.type === 'required' || toolChoice?.type === 'tool';
  const mayThink = !rules.signsThoughts || (!isForced && !continuesWithoutThoughts(prompt));
  return effort === 'none' || mayThink ? effort : null;
}

function isReasoning(value: unknown): value is Reasoning {
  return EFFORTS.has(value);
}

/** Outputs are told to calls that were made without thoughts, or whose thoughts were lost: thinking would be refused. */
function continuesWithoutThoughts(prompt: LanguageModelV4Prompt): boolean {
  if (prompt.at(-1)?.role !== 'tool') return false;
  const latest = prompt.findLast(({ role }) => role === 'assistant');
  return latest?.role === 'assistant' && !latest.content.some(({ type }) => type === 'reasoning');
}

function toResponseFormat(value: unknown): NonNullable<LanguageModelV4CallOptions['responseFormat']> | null {
  const format = toRecord(value);
  if (format === null || format.type === 'text') return null;
  if (format.type === 'json_object') return { type: 'json' };
  const wanted = toRecord(format.json_schema);
  const schema = toRecord(wanted?.schema);
  if (format.type !== 'json_schema' || wanted === null || schema === null) {
    throw refuse(
      'response_format',
      "'response_format' must be text, json_object, or a json_schema with its schema.",
    );
  }
  const [name, description] = [toText(wanted.name), toText(wanted.description)];
  return {
    type: 'json',
    schema,
    ...(name === null ? {} : { name }),
    ...(description === null ? {} : { description }),
  };
}
