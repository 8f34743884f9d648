/** The tables of `docs/api.md`, made from the API document that the server itself answers with, and from its table of errors. */

import { ERROR_RENDERINGS } from '../../src/errors.ts';
import { ENDPOINTS } from '../../src/routes/passed-through.ts';
import { toOpenApiDocument, toServedOperations } from '../../src/schemas/openapi-document.ts';
import type { Operation } from '../../src/schemas/operation.ts';
import { VERSION } from '../../src/version.ts';
import { toTable } from './table.ts';
import { type SchemaNode, TypeText } from './type-text.ts';

const PARTS: Readonly<Record<string, () => string>> = Object.freeze({
  operations: toOperationsText,
  'handed through': toPassedText,
  errors: toErrorsText,
});

/** The page with its tables as they should be. Errors: where the page lacks the place for one. */
export function renewApiPage(page: string): string {
  let renewed = page;
  for (const [name, toText] of Object.entries(PARTS)) {
    const [begin, end] = [`<!-- ${name}: made by \`npm run docs\` -->`, `<!-- end of ${name} -->`];
    const [from, to] = [renewed.indexOf(begin), renewed.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`The page has no place for '${name}': ${begin} … ${end}`);
    renewed = `${renewed.slice(0, from + begin.length)}\n\n${toText()}\n\n${renewed.slice(to)}`;
  }
  return renewed;
}

function toOperationsText(): string {
  const document = toOpenApiDocument(VERSION);
  const { schemas } = document.components as { schemas: Record<string, SchemaNode> };
  const paths = document.paths as Record<string, Record<string, PathItem>>;
  const types = new TypeText(schemas);
  const sections = new Map<string, string[]>();
  for (const [id, operation] of toServedOperations()) {
    const item = paths[`/v1${operation.path}`]?.[operation.method.toLowerCase()];
    if (item === undefined) throw new Error(`The API document lacks ${id}.`);
    const texts = sections.get(operation.resource) ?? [];
    sections.set(operation.resource, [...texts, toOperationText(id, operation, item, types)]);
  }
  const operations = [...sections].map(
    ([resource, texts]) => `## ${toTitle(resource)}\n\n${texts.join('\n\n')}`,
  );
  // What the operations name, what that names in turn, and so on.
  const objects = types.takeNamed().map(({ name, rows }) => `### ${name}\n\n${toFieldTable('field', rows)}`);
  return [...operations, '## Objects', ...objects].join('\n\n');
}

interface PathItem {
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: SchemaNode }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: SchemaNode }>> };
  readonly responses: Readonly<Record<string, { content: Readonly<Record<string, { schema: SchemaNode }>> }>>;
}

function toOperationText(id: string, { method, path }: Operation, item: PathItem, types: TypeText): string {
  const parts = [`### ${id}`, `\`${method} /v1${path}\``];
  if (item.parameters.length > 0) {
    const rows = item.parameters.map(({ name, in: place, required, schema }) => [
      `\`${name}\``,
      place,
      types.toType(schema),
      required ? 'yes' : '',
    ]);
    parts.push(toTable(['parameter', 'in', 'type', 'needed'], rows));
  }
  for (const [type, { schema }] of Object.entries(item.requestBody?.content ?? {})) {
    parts.push(`Body, \`${type}\`:`, toFieldTable('field of the body', types.toFields(schema)));
  }
  for (const [status, { content }] of Object.entries(item.responses)) {
    if (!status.startsWith('2')) continue;
    const shapes = Object.entries(content).map(([type, { schema }]) =>
      type === 'text/event-stream' ? 'events, with `stream: true`' : `${types.toType(schema)} (\`${type}\`)`,
    );
    parts.push(`Answer: ${shapes.join('; or ')}`);
  }
  return parts.join('\n\n');
}

function toFieldTable(name: string, rows: readonly (readonly string[])[]): string {
  return toTable([name, 'type', 'needed'], rows);
}

function toPassedText(): string {
  const paths = [...new Set(ENDPOINTS.map(([, path]) => path))];
  const rows = paths.map((path) => {
    const methods = ENDPOINTS.filter(([, other]) => other === path).map(([method]) => method);
    return [`\`/v1/${path}\``, methods.join(', ')];
  });
  return toTable(['path', 'methods'], rows);
}

function toErrorsText(): string {
  const rows = Object.values(ERROR_RENDERINGS).map(({ status, type, code }) => [
    String(status),
    `\`${type}\``,
    code === null ? 'null' : `\`${code}\``,
  ]);
  const texts = [...new Set(rows.map((row) => row.join('\n')))].sort();
  return toTable(
    ['status', 'type', 'code'],
    texts.map((text) => text.split('\n')),
  );
}

function toTitle(resource: string): string {
  const words = resource.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
