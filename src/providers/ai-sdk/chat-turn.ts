/** One turn of a conversation with a provider that is spoken to by a package. */

import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { type CallOptions, type ChatEvent, type ChatRequest, ProviderError } from '../provider.ts';
import type { AnswerErrorContext } from './answer-errors.ts';
import { toCallOptions } from './call-options.ts';
import { toErrorContext } from './open-access.ts';
import { toPackageError } from './package-errors.ts';
import { createPartMapper, type PartMapper } from './part-mapper.ts';
import { type FileData, readPictures } from './pictures.ts';
import { toPrompt } from './prompt.ts';
import type { Access, ChatProtocol, PromptRules } from './protocol.ts';
import type { SenderDeps } from './upstream-fetch.ts';

const NO_PICTURES: ReadonlyMap<string, FileData> = new Map();

export interface PreparedTurn {
  readonly options: LanguageModelV4CallOptions;
  readonly rules: PromptRules;
  readonly toolNames: ReadonlySet<string>;
}

/** Throws `ProviderError` (`invalid_request`) for what the provider cannot be asked. */
export async function prepareTurn(
  chat: ChatProtocol,
  request: ChatRequest,
  deps: SenderDeps,
  call: CallOptions,
): Promise<PreparedTurn> {
  const rules = chat.rules(request.model);
  const { messages } = request;
  const pictures = rules.takesPictureUrls ? NO_PICTURES : await readPictures(messages, deps.upstream, call);
  const prompt = toPrompt({ messages, rules, provider: deps.provider, pictures });
  const options = toCallOptions(request, prompt, rules);
  const toolNames = new Set((options.tools ?? []).map(({ name }) => name));
  return { options, rules, toolNames };
}

export interface BegunTurn {
  /** Never an empty list; null at the end. Throws `ProviderError`, or the signal's reason. */
  nextBatch(): Promise<readonly ChatEvent[] | null>;
}

/** Asks, and waits until the provider begins to answer. */
export async function beginTurn(
  chat: ChatProtocol,
  { options, rules, toolNames }: PreparedTurn,
  access: Access,
  deps: SenderDeps,
  call: CallOptions,
): Promise<BegunTurn> {
  const errorContext = (): AnswerErrorContext => toErrorContext(deps, call);
  const toError = (error: unknown): unknown => {
    call.signal.throwIfAborted();
    return toPackageError(error, errorContext());
  };
  const mapper = createPartMapper({
    provider: deps.provider,
    optionsName: rules.optionsName,
    toolNames,
    createCallId: access.createCallId,
    errorContext,
  });
  try {
    const model = await chat.loadModel(access);
    const { stream } = await model.doStream(options);
    return toTurn(stream.getReader(), mapper, toError);
  } catch (error) {
    throw toError(error);
  }
}

function toTurn(
  reader: { read(): Promise<{ done: boolean; value?: LanguageModelV4StreamPart | undefined }> },
  mapper: PartMapper,
  toError: (error: unknown) => unknown,
): BegunTurn {
  let hasEnded = false;
  let fault: unknown = null;

  const readPart = async (events: ChatEvent[]): Promise<void> => {
    const { done, value } = await reader.read();
    if (value !== undefined) mapper.push(value, events);
    if (!done) return;
    hasEnded = true;
    mapper.end();
  };

  return {
    async nextBatch() {
      if (fault !== null) throw fault;
      while (!hasEnded) {
        const events: ChatEvent[] = [];
        try {
          await readPart(events);
        } catch (error) {
          hasEnded = true;
          const reason = error instanceof ProviderError ? error : toError(error);
          // What came before the fault is said first.
          if (events.length === 0) throw reason;
          fault = reason;
        }
        if (events.length > 0) return events;
      }
      if (fault !== null) throw fault;
      return null;
    },
  };
}
