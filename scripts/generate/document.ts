/** The OpenAPI document, as far as the generator reads it. */

/** A schema object of OpenAPI 3.1, with 3.0's `nullable`, which OpenAI's document still uses. */
export interface SchemaNode {
  $ref?: string;
  /** `#`: the component that is being described. A leftover of JSON schema 2019. */
  $recursiveRef?: string;
  type?: string | string[];
  nullable?: boolean;
  enum?: unknown[];
  const?: unknown;
  format?: string;
  properties?: Record<string, SchemaNode>;
  required?: string[];
  additionalProperties?: boolean | SchemaNode;
  propertyNames?: SchemaNode;
  items?: SchemaNode;
  allOf?: SchemaNode[];
  anyOf?: SchemaNode[];
  oneOf?: SchemaNode[];
  [keyword: string]: unknown;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema?: SchemaNode;
}

export type Content = Record<string, { schema?: SchemaNode }>;

export interface Response {
  $ref?: string;
  content?: Content;
}

export interface DocumentOperation {
  operationId?: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, Response>;
}

export interface ApiDocument {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, DocumentOperation>>;
  components: { schemas: Record<string, SchemaNode>; responses?: Record<string, Response> };
}

/** OpenAI's document has 3.4 MB. */
const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 60_000;

const SCHEMA_PREFIX = '#/components/schemas/';
const RESPONSE_PREFIX = '#/components/responses/';

/** Reads a document from a file or an http(s) URL. */
export async function readDocument(source: string): Promise<ApiDocument> {
  const text = /^https?:\/\//.test(source) ? await fetchText(source) : await readText(source);
  return parseDocument(text, source);
}

/** Errors: an `Error` that says what is missing. */
export function parseDocument(text: string, source: string): ApiDocument {
  const document = JSON.parse(text) as Partial<ApiDocument>;
  if (document.openapi?.startsWith('3.') !== true) throw new Error(`${source}: not an OpenAPI 3 document`);
  for (const key of ['info', 'paths', 'components'] as const) {
    if (typeof document[key] !== 'object') throw new Error(`${source}: '${key}' is missing`);
  }
  return document as ApiDocument;
}

async function readText(path: string): Promise<string> {
  const file = Bun.file(path);
  checkSize(file.size, path);
  return file.text();
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url}: answered ${response.status}`);
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    checkSize(bytes, url);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function checkSize(bytes: number, source: string): void {
  if (bytes > DOCUMENT_BYTES_MAX) throw new Error(`${source}: larger than ${DOCUMENT_BYTES_MAX} bytes`);
}

/** The component that a reference names. Errors: an `Error` for references of another kind. */
export function toComponentName(ref: string): string {
  if (!ref.startsWith(SCHEMA_PREFIX)) throw new Error(`reference '${ref}' is not to a schema component`);
  return ref.slice(SCHEMA_PREFIX.length);
}

export function getComponent(document: ApiDocument, name: string): SchemaNode {
  const node = document.components.schemas[name];
  if (node === undefined) throw new Error(`the document has no schema component '${name}'`);
  return node;
}

export function resolveResponse(document: ApiDocument, response: Response): Response {
  if (response.$ref === undefined) return response;
  const found = document.components.responses?.[response.$ref.slice(RESPONSE_PREFIX.length)];
  if (found === undefined) throw new Error(`the document has no response component '${response.$ref}'`);
  return found;
}

/** The schemas directly below this one. */
export function listChildren(node: SchemaNode): SchemaNode[] {
  return [
    ...Object.values(node.properties ?? {}),
    ...(node.items === undefined ? [] : [node.items]),
    ...(typeof node.additionalProperties === 'object' ? [node.additionalProperties] : []),
    ...(node.allOf ?? []),
    ...(node.anyOf ?? []),
    ...(node.oneOf ?? []),
  ];
}
