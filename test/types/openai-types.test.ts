/**
 * The generated types against those of the official SDK. The work is done by the compiler: a field that we
 * miss, misname or mistype is an error of `tsc`. The tests at the end see to it that no component is left out.
 */

import { describe, expect, test } from 'bun:test';
import type { TSchema } from '@sinclair/typebox';
import type { OpenAI } from 'openai';
import type { Beta } from 'openai/resources/beta';
import type { Threads } from 'openai/resources/beta/threads';
import type { VectorStores } from 'openai/resources/vector-stores';
import * as assistants from '../../src/schemas/generated/assistants.ts';
import * as chat from '../../src/schemas/generated/chat-completions.ts';
import * as embeddings from '../../src/schemas/generated/embeddings.ts';
import * as errors from '../../src/schemas/generated/errors.ts';
import * as files from '../../src/schemas/generated/files.ts';
import * as messages from '../../src/schemas/generated/messages.ts';
import * as models from '../../src/schemas/generated/models.ts';
import * as moderations from '../../src/schemas/generated/moderations.ts';
import { OPERATIONS } from '../../src/schemas/generated/operations.ts';
import * as runs from '../../src/schemas/generated/runs.ts';
import * as steps from '../../src/schemas/generated/steps.ts';
import * as events from '../../src/schemas/generated/stream-events.ts';
import * as threads from '../../src/schemas/generated/threads.ts';
import * as uploads from '../../src/schemas/generated/uploads.ts';
import * as stores from '../../src/schemas/generated/vector-stores.ts';
import type { MediaTypes, Operation } from '../../src/schemas/operation.ts';
import type { Accepted, Answered, Complete } from './key-comparison.ts';

type List<Item> = OpenAI.CursorPageResponse<Item>;
type Plain<Item> = OpenAI.PageResponse<Item>;

/**
 * By component, what an operation or a stream answers. `misalignment` is newer than the document, and a matter
 * of OpenAI's own moderation: this server never answers it.
 */
interface Responses {
  AssistantObject: Complete<Answered<assistants.AssistantObject, Beta.Assistant>>;
  DeleteAssistantResponse: Complete<Answered<assistants.DeleteAssistantResponse, Beta.AssistantDeleted>>;
  ListAssistantsResponse: Complete<Answered<assistants.ListAssistantsResponse, List<Beta.Assistant>>>;
  ThreadObject: Complete<Answered<threads.ThreadObject, Beta.Thread>>;
  DeleteThreadResponse: Complete<Answered<threads.DeleteThreadResponse, Beta.ThreadDeleted>>;
  MessageObject: Complete<Answered<messages.MessageObject, Threads.Message>>;
  MessageDeltaObject: Complete<Answered<messages.MessageDeltaObject, Threads.MessageDeltaEvent>>;
  DeleteMessageResponse: Complete<Answered<messages.DeleteMessageResponse, Threads.MessageDeleted>>;
  ListMessagesResponse: Complete<Answered<messages.ListMessagesResponse, List<Threads.Message>>>;
  RunObject: Complete<Answered<runs.RunObject, Threads.Run>>;
  ListRunsResponse: Complete<Answered<runs.ListRunsResponse, List<Threads.Run>>>;
  RunStepObject: Complete<Answered<steps.RunStepObject, Threads.Runs.RunStep>>;
  RunStepDeltaObject: Complete<Answered<steps.RunStepDeltaObject, Threads.Runs.RunStepDeltaEvent>>;
  ListRunStepsResponse: Complete<Answered<steps.ListRunStepsResponse, List<Threads.Runs.RunStep>>>;
  AssistantStreamEvent: Complete<
    Answered<Exclude<events.AssistantStreamEvent, events.DoneEvent>, Beta.AssistantStreamEvent>,
    '.data.misalignment'
  >;
  OpenAIFile: Complete<Answered<files.OpenAIFile, OpenAI.FileObject>>;
  DeleteFileResponse: Complete<Answered<files.DeleteFileResponse, OpenAI.FileDeleted>>;
  ListFilesResponse: Complete<Answered<files.ListFilesResponse, List<OpenAI.FileObject>>>;
  Upload: Complete<Answered<uploads.Upload, OpenAI.Upload>>;
  UploadPart: Complete<Answered<uploads.UploadPart, OpenAI.Uploads.UploadPart>>;
  VectorStoreObject: Complete<Answered<stores.VectorStoreObject, OpenAI.VectorStore>>;
  DeleteVectorStoreResponse: Complete<Answered<stores.DeleteVectorStoreResponse, OpenAI.VectorStoreDeleted>>;
  ListVectorStoresResponse: Complete<Answered<stores.ListVectorStoresResponse, List<OpenAI.VectorStore>>>;
  VectorStoreFileObject: Complete<Answered<stores.VectorStoreFileObject, VectorStores.VectorStoreFile>>;
  DeleteVectorStoreFileResponse: Complete<
    Answered<stores.DeleteVectorStoreFileResponse, VectorStores.VectorStoreFileDeleted>
  >;
  ListVectorStoreFilesResponse: Complete<
    Answered<stores.ListVectorStoreFilesResponse, List<VectorStores.VectorStoreFile>>
  >;
  VectorStoreFileContentResponse: Complete<
    Answered<stores.VectorStoreFileContentResponse, Plain<VectorStores.FileContentResponse>>
  >;
  VectorStoreFileBatchObject: Complete<
    Answered<stores.VectorStoreFileBatchObject, VectorStores.VectorStoreFileBatch>
  >;
  VectorStoreSearchResultsPage: Complete<
    Answered<stores.VectorStoreSearchResultsPage, Plain<OpenAI.VectorStoreSearchResponse>>
  >;
  CreateChatCompletionResponse: Complete<Answered<chat.CreateChatCompletionResponse, OpenAI.ChatCompletion>>;
  CreateChatCompletionStreamResponse: Complete<
    Answered<chat.CreateChatCompletionStreamResponse, OpenAI.ChatCompletionChunk>
  >;
  CreateEmbeddingResponse: Complete<
    Answered<embeddings.CreateEmbeddingResponse, OpenAI.CreateEmbeddingResponse>
  >;
  Model: Complete<Answered<models.Model, OpenAI.Model>>;
  ListModelsResponse: Complete<Answered<models.ListModelsResponse, Plain<OpenAI.Model>>>;
  CreateModerationResponse: Complete<
    Answered<moderations.CreateModerationResponse, OpenAI.ModerationCreateResponse>
  >;
  ErrorResponse: Complete<
    Answered<errors.ErrorResponse, { error: OpenAI.ErrorObject }>,
    '.error.misalignment'
  >;
}

/** The SDK hands these over with the body, and puts them into the path. */
type PathParameter = 'thread_id' | 'vector_store_id';

/** A field that the SDK fills from many kinds of sources, and that arrives as a file. */
type WithUploadable<Body extends Record<Field, unknown>, Field extends string> = Omit<Body, Field> &
  Record<Field, OpenAI.FileCreateParams['file']>;

/** The SDK leaves filters inside of filters unknown; these are the ones that we can evaluate. */
type WithFilters<Params> = Omit<Params, 'filters'> & {
  filters?:
    | OpenAI.ComparisonFilter
    | (Omit<OpenAI.CompoundFilter, 'filters'> & { filters: OpenAI.ComparisonFilter[] });
};

/** `include` is a parameter of the query. */
type RunBody = Omit<Threads.RunCreateParams, 'include'>;

/** By component, what an operation is sent. */
interface Requests {
  CreateAssistantRequest: Complete<Accepted<assistants.CreateAssistantRequest, Beta.AssistantCreateParams>>;
  ModifyAssistantRequest: Complete<Accepted<assistants.ModifyAssistantRequest, Beta.AssistantUpdateParams>>;
  CreateThreadRequest: Complete<Accepted<threads.CreateThreadRequest, Beta.ThreadCreateParams>>;
  ModifyThreadRequest: Complete<Accepted<threads.ModifyThreadRequest, Beta.ThreadUpdateParams>>;
  CreateMessageRequest: Complete<Accepted<messages.CreateMessageRequest, Threads.MessageCreateParams>>;
  ModifyMessageRequest: Complete<
    Accepted<messages.ModifyMessageRequest, Omit<Threads.MessageUpdateParams, PathParameter>>
  >;
  CreateRunRequest: Complete<Accepted<runs.CreateRunRequest, RunBody>>;
  CreateThreadAndRunRequest: Complete<
    Accepted<runs.CreateThreadAndRunRequest, Beta.ThreadCreateAndRunParams>
  >;
  ModifyRunRequest: Complete<Accepted<runs.ModifyRunRequest, Omit<Threads.RunUpdateParams, PathParameter>>>;
  SubmitToolOutputsRunRequest: Complete<
    Accepted<runs.SubmitToolOutputsRunRequest, Omit<Threads.RunSubmitToolOutputsParams, PathParameter>>
  >;
  CreateFileRequest: Complete<
    Accepted<WithUploadable<files.CreateFileRequest, 'file'>, OpenAI.FileCreateParams>
  >;
  CreateUploadRequest: Complete<Accepted<uploads.CreateUploadRequest, OpenAI.UploadCreateParams>>;
  AddUploadPartRequest: Complete<
    Accepted<WithUploadable<uploads.AddUploadPartRequest, 'data'>, OpenAI.Uploads.PartCreateParams>
  >;
  CompleteUploadRequest: Complete<Accepted<uploads.CompleteUploadRequest, OpenAI.UploadCompleteParams>>;
  CreateVectorStoreRequest: Complete<
    Accepted<stores.CreateVectorStoreRequest, OpenAI.VectorStoreCreateParams>
  >;
  UpdateVectorStoreRequest: Complete<
    Accepted<stores.UpdateVectorStoreRequest, OpenAI.VectorStoreUpdateParams>
  >;
  VectorStoreSearchRequest: Complete<
    Accepted<stores.VectorStoreSearchRequest, WithFilters<OpenAI.VectorStoreSearchParams>>
  >;
  CreateVectorStoreFileRequest: Complete<
    Accepted<stores.CreateVectorStoreFileRequest, VectorStores.FileCreateParams>
  >;
  UpdateVectorStoreFileAttributesRequest: Complete<
    Accepted<
      stores.UpdateVectorStoreFileAttributesRequest,
      Omit<VectorStores.FileUpdateParams, PathParameter>
    >
  >;
  CreateVectorStoreFileBatchRequest: Complete<
    Accepted<stores.CreateVectorStoreFileBatchRequest, VectorStores.FileBatchCreateParams>
  >;
  CreateChatCompletionRequest: Complete<
    Accepted<chat.CreateChatCompletionRequest, OpenAI.ChatCompletionCreateParams>
  >;
  CreateEmbeddingRequest: Complete<Accepted<embeddings.CreateEmbeddingRequest, OpenAI.EmbeddingCreateParams>>;
  CreateModerationRequest: Complete<
    Accepted<moderations.CreateModerationRequest, OpenAI.ModerationCreateParams>
  >;
}

/** Compiles only while each row above is `true`. */
const RESPONSES: Responses = {
  AssistantObject: true,
  DeleteAssistantResponse: true,
  ListAssistantsResponse: true,
  ThreadObject: true,
  DeleteThreadResponse: true,
  MessageObject: true,
  MessageDeltaObject: true,
  DeleteMessageResponse: true,
  ListMessagesResponse: true,
  RunObject: true,
  ListRunsResponse: true,
  RunStepObject: true,
  RunStepDeltaObject: true,
  ListRunStepsResponse: true,
  AssistantStreamEvent: true,
  OpenAIFile: true,
  DeleteFileResponse: true,
  ListFilesResponse: true,
  Upload: true,
  UploadPart: true,
  VectorStoreObject: true,
  DeleteVectorStoreResponse: true,
  ListVectorStoresResponse: true,
  VectorStoreFileObject: true,
  DeleteVectorStoreFileResponse: true,
  ListVectorStoreFilesResponse: true,
  VectorStoreFileContentResponse: true,
  VectorStoreFileBatchObject: true,
  VectorStoreSearchResultsPage: true,
  CreateChatCompletionResponse: true,
  CreateChatCompletionStreamResponse: true,
  CreateEmbeddingResponse: true,
  Model: true,
  ListModelsResponse: true,
  CreateModerationResponse: true,
  ErrorResponse: true,
};

const REQUESTS: Requests = {
  CreateAssistantRequest: true,
  ModifyAssistantRequest: true,
  CreateThreadRequest: true,
  ModifyThreadRequest: true,
  CreateMessageRequest: true,
  ModifyMessageRequest: true,
  CreateRunRequest: true,
  CreateThreadAndRunRequest: true,
  ModifyRunRequest: true,
  SubmitToolOutputsRunRequest: true,
  CreateFileRequest: true,
  CreateUploadRequest: true,
  AddUploadPartRequest: true,
  CompleteUploadRequest: true,
  CreateVectorStoreRequest: true,
  UpdateVectorStoreRequest: true,
  VectorStoreSearchRequest: true,
  CreateVectorStoreFileRequest: true,
  UpdateVectorStoreFileAttributesRequest: true,
  CreateVectorStoreFileBatchRequest: true,
  CreateChatCompletionRequest: true,
  CreateEmbeddingRequest: true,
  CreateModerationRequest: true,
};

const MODULES = [
  assistants,
  chat,
  embeddings,
  errors,
  files,
  messages,
  models,
  moderations,
  runs,
  steps,
  events,
  threads,
  uploads,
  stores,
];

const NAMES = new Map<unknown, string>(
  MODULES.flatMap((module) =>
    Object.entries(module).map(([name, schema]): [TSchema, string] => [schema, name]),
  ),
);

/** The names of components that stand under these media types; bytes have none. */
function listNames(contents: readonly MediaTypes[]): string[] {
  const schemas = contents.flatMap((content) =>
    Object.entries(content).filter(([mediaType]) => mediaType !== 'application/octet-stream'),
  );
  return schemas.map(([mediaType, schema]) => NAMES.get(schema) ?? `unnamed schema under ${mediaType}`);
}

const operations = Object.values<Operation>(OPERATIONS);

describe('the types of the openai package', () => {
  test('are compared with every component that an operation answers', () => {
    const answered = new Set(operations.flatMap(({ responses }) => listNames(Object.values(responses))));
    expect(answered.size).toBeGreaterThan(30);
    expect([...answered].filter((name) => !(name in RESPONSES))).toEqual([]);
  });

  test('are compared with every component that an operation is sent', () => {
    const sent = new Set(
      operations.flatMap(({ request }) => listNames(request === null ? [] : [request.content])),
    );
    expect(sent.size).toBeGreaterThan(20);
    expect([...sent].filter((name) => !(name in REQUESTS))).toEqual([]);
  });
});
