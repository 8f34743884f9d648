/** Which operations are generated, and into which file each component goes. */

import type { ApiDocument, DocumentOperation } from './document.ts';

export interface OperationRule {
  /** Matched against `METHOD /path`; the first rule that matches decides. */
  readonly pattern: RegExp;
  /** The file, and the name of the resource in the table of operations. */
  readonly resource: string;
}

export interface FileRule {
  readonly file: string;
  /** Matched against the names of components; the first rule that matches decides. */
  readonly pattern: RegExp;
}

export interface Layout {
  readonly operations: readonly OperationRule[];
  readonly files: readonly FileRule[];
  /** Components that no operation names, and what they need. */
  readonly roots: readonly string[];
}

/** OpenAI's document, as far as this project serves it or will serve it soon. */
export const LAYOUT: Layout = {
  operations: [
    { pattern: /^\w+ \/assistants/, resource: 'assistants' },
    { pattern: /^\w+ \/threads.*\/steps/, resource: 'steps' },
    { pattern: /^\w+ \/threads.*\/messages/, resource: 'messages' },
    { pattern: /^\w+ \/threads.*\/runs/, resource: 'runs' },
    { pattern: /^\w+ \/threads/, resource: 'threads' },
    { pattern: /^\w+ \/files/, resource: 'files' },
    { pattern: /^\w+ \/uploads/, resource: 'uploads' },
    { pattern: /^\w+ \/vector_stores/, resource: 'vector-stores' },
    { pattern: /^POST \/chat\/completions$/, resource: 'chat-completions' },
    { pattern: /^\w+ \/embeddings/, resource: 'embeddings' },
    { pattern: /^GET \/models/, resource: 'models' },
    { pattern: /^\w+ \/moderations/, resource: 'moderations' },
  ],
  files: [
    { file: 'metadata', pattern: /^Metadata$/ },
    { file: 'errors', pattern: /^Error(Object|Response)$/ },
    { file: 'model-settings', pattern: /^(ReasoningEffort|ParallelToolCalls)$/ },
    { file: 'response-formats', pattern: /^(ResponseFormat|AssistantsApiResponseFormat)/ },
    {
      file: 'tools',
      pattern:
        /^(Function(Object|Parameters)$|FileSearchRank|AssistantTools|AssistantsApiToolChoice|AssistantsNamedToolChoice)/,
    },
    { file: 'stream-events', pattern: /Event$/ },
    { file: 'steps', pattern: /^(RunStep|ListRunSteps)/ },
    { file: 'messages', pattern: /^(Message|(Create|Modify|Delete|List)Messages?)/ },
    { file: 'threads', pattern: /^(Thread|(Create|Modify|Delete)Thread(Request|Response))/ },
    { file: 'runs', pattern: /^(Run|Truncation|CreateRun|CreateThreadAndRun|ModifyRun|ListRuns|SubmitTool)/ },
    { file: 'assistants', pattern: /^(Assistant|(Create|Modify|Delete|List)Assistants?)/ },
    { file: 'files', pattern: /^(OpenAIFile|FileExpirationAfter|(Create|Delete|List)Files?Re)/ },
    { file: 'uploads', pattern: /Upload/ },
    { file: 'vector-stores', pattern: /VectorStore|ChunkingStrategy|Filter$/ },
    { file: 'embeddings', pattern: /Embedding/ },
    { file: 'models', pattern: /^(Model|ListModelsResponse)$/ },
    { file: 'moderations', pattern: /^CreateModeration/ },
    // What is left belongs to chat completions.
    { file: 'chat-completions', pattern: /./ },
  ],
  roots: ['AssistantStreamEvent', 'ErrorResponse'],
};

export interface ChosenOperation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly resource: string;
  readonly operation: DocumentOperation;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** The operations of the layout, in the order of its rules and then of the document. */
export function chooseOperations(document: ApiDocument, layout: Layout): ChosenOperation[] {
  const found = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((name): (ChosenOperation & { rank: number })[] => {
      const operation = item[name];
      const method = name.toUpperCase();
      const rank = layout.operations.findIndex((rule) => rule.pattern.test(`${method} ${path}`));
      const rule = layout.operations[rank];
      if (operation === undefined || rule === undefined) return [];
      if (operation.operationId === undefined) throw new Error(`${method} ${path} has no operationId`);
      return [{ id: operation.operationId, method, path, resource: rule.resource, operation, rank }];
    }),
  );
  // The sort is stable: within a rule, the document's order stays.
  return found.sort((a, b) => a.rank - b.rank).map(({ rank: _, ...chosen }) => chosen);
}

export function toFileName(layout: Layout, component: string): string {
  const rule = layout.files.find(({ pattern }) => pattern.test(component));
  if (rule === undefined) throw new Error(`layout.ts names no file for the component '${component}'`);
  return rule.file;
}
