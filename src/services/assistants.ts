/** Assistants: what they are made of, and their life. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type {
  AssistantObject,
  CreateAssistantRequest,
  DeleteAssistantResponse,
  ModifyAssistantRequest,
} from '../schemas/generated/assistants.ts';
import type { Page, PageRequest, Scope } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { readPage, rethrowMissing } from './lists.ts';
import { toMetadata } from './metadata.ts';
import { checkToolResources, makeToolResources } from './tool-resources.ts';
import { checkTools } from './tools.ts';
import type { VectorStoreDeps } from './vector-store-access.ts';

/**
 * `reasoning_effort` is taken by the API document and missing in its object: kept where it was given.
 * `temperature` and `top_p` are null where they were not given: the wire shows the API's default, and runs
 * leave the choice to the model.
 */
export type AssistantRecord = AssistantObject & Pick<CreateAssistantRequest, 'reasoning_effort'>;

const SAMPLING_DEFAULT = 1;

export function toAssistant(record: AssistantRecord): AssistantObject {
  return {
    ...record,
    temperature: record.temperature ?? SAMPLING_DEFAULT,
    top_p: record.top_p ?? SAMPLING_DEFAULT,
  };
}

type Deps = Pick<Ports, 'store' | 'clock' | 'ids'>;

/** Errors: 400; 404 for a file or vector store that is not there. Then nothing is written. */
export async function createAssistant(
  deps: VectorStoreDeps,
  caller: Caller,
  body: CreateAssistantRequest,
): Promise<AssistantRecord> {
  const { scope } = caller;
  checkModel(body.model);
  checkTools(body.tools ?? []);
  const metadata = toMetadata(body.metadata);
  await checkToolResources(deps, scope, body.tool_resources);
  const record: AssistantRecord = {
    id: deps.ids.create('assistant'),
    object: 'assistant',
    created_at: toSeconds(deps.clock.nowMs()),
    name: body.name ?? null,
    description: body.description ?? null,
    model: body.model,
    instructions: body.instructions ?? null,
    tools: body.tools ?? [],
    tool_resources: await makeToolResources(deps, caller, body.tool_resources),
    metadata,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    response_format: body.response_format ?? 'auto',
    ...(body.reasoning_effort === undefined ? {} : { reasoning_effort: body.reasoning_effort }),
  };
  await deps.store.insert('assistants', scope, record, { isFresh: true });
  return record;
}

/** `param` is where a request names the assistant, if not in its path. Errors: 404. */
export async function getAssistant(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  id: string,
  param: string | null = null,
): Promise<AssistantRecord> {
  const found = await deps.store.get<AssistantRecord>('assistants', scope, id);
  if (found === null) throw ApiError.notFound('assistant', id, param);
  return found.record;
}

export function listAssistants(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  page: PageRequest,
): Promise<Page<AssistantRecord>> {
  return readPage(page, () => deps.store.list<AssistantRecord>('assistants', scope, page));
}

/** Replaces the fields that are named; null empties those that may be null. */
export async function modifyAssistant(
  deps: VectorStoreDeps,
  caller: Caller,
  id: string,
  body: ModifyAssistantRequest,
): Promise<AssistantRecord> {
  const { scope } = caller;
  if (body.model !== undefined) checkModel(body.model);
  checkTools(body.tools ?? []);
  await checkToolResources(deps, scope, body.tool_resources);
  const change: Partial<AssistantRecord> = {
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.description === undefined ? {} : { description: body.description }),
    ...(body.model === undefined ? {} : { model: body.model }),
    ...(body.instructions === undefined ? {} : { instructions: body.instructions }),
    ...(body.tools === undefined ? {} : { tools: body.tools }),
    ...(body.tool_resources === undefined
      ? {}
      : { tool_resources: await makeToolResources(deps, caller, body.tool_resources) }),
    ...(body.metadata === undefined ? {} : { metadata: toMetadata(body.metadata) }),
    ...(body.temperature === undefined ? {} : { temperature: body.temperature }),
    ...(body.top_p === undefined ? {} : { top_p: body.top_p }),
    ...(body.response_format === undefined ? {} : { response_format: body.response_format ?? 'auto' }),
    ...(body.reasoning_effort === undefined ? {} : { reasoning_effort: body.reasoning_effort }),
  };
  const { record } = await deps.store
    .update<AssistantRecord>('assistants', scope, id, change)
    .catch(rethrowMissing('assistant', id));
  return record;
}

/** Runs of the assistant stay; new ones find it gone. */
export async function deleteAssistant(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  id: string,
): Promise<DeleteAssistantResponse> {
  if (!(await deps.store.delete('assistants', scope, id))) throw ApiError.notFound('assistant', id);
  return { id, object: 'assistant.deleted', deleted: true };
}

function checkModel(model: string): void {
  if (model.trim() === '')
    throw ApiError.invalidValue('model', "Invalid 'model': the name of a model is needed.");
}
