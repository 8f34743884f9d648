/** The table of operations, as text. */

import { type Conversion, toInlineShape } from './convert.ts';
import {
  type ApiDocument,
  type Content,
  type DocumentOperation,
  type Parameter,
  resolveResponse,
  type SchemaNode,
} from './document.ts';
import type { ChosenOperation } from './layout.ts';
import { printShape } from './print.ts';
import { listReferences, type Shape } from './shapes.ts';

export interface PrintedTable {
  readonly text: string;
  /** The components that the table refers to. */
  readonly references: readonly string[];
}

export function printOperations(conversion: Conversion, chosen: readonly ChosenOperation[]): PrintedTable {
  const references = new Set<string>();
  const print = (shape: Shape): string => {
    for (const name of listReferences(shape)) references.add(name);
    return printShape(shape);
  };
  const entries = chosen.map((one) => {
    const fields = [
      `method: '${one.method}'`,
      `path: '${one.path}'`,
      `resource: '${one.resource}'`,
      `parameters: [${(one.operation.parameters ?? []).map((parameter) => printParameter(conversion, parameter, one.id, print))}]`,
      `request: ${printRequest(conversion, one, print)}`,
      `responses: {${printResponses(conversion, one, print)}}`,
    ];
    return `${JSON.stringify(one.id)}: { ${fields.join(', ')} }`;
  });
  const text = `export const OPERATIONS = freezeOperations({ ${entries.join(', ')} });\nexport type OperationId = keyof typeof OPERATIONS;\n`;
  return { text, references: [...references] };
}

type Print = (shape: Shape) => string;

function printParameter(conversion: Conversion, parameter: Parameter, id: string, print: Print): string {
  const where = parameter.in;
  if (where !== 'path' && where !== 'query') throw new Error(`${id}: parameters in '${where}' are not known`);
  const schema = print(toInlineShape(conversion, parameter.schema ?? {}, `${id}?${parameter.name}`));
  const required = parameter.required === true;
  return `{ name: ${JSON.stringify(parameter.name)}, in: '${where}', required: ${required}, schema: ${schema} }`;
}

function printRequest(conversion: Conversion, one: ChosenOperation, print: Print): string {
  const body = one.operation.requestBody;
  if (body === undefined) return 'null';
  return `{ required: ${body.required === true}, content: ${printContent(conversion, body.content, one.id, print)} }`;
}

function printResponses(conversion: Conversion, one: ChosenOperation, print: Print): string {
  return Object.entries(one.operation.responses)
    .map(([status, response]) => {
      const { content = {} } = resolveResponse(conversion.document, response);
      return `${status}: ${printContent(conversion, content, one.id, print)}`;
    })
    .join(', ');
}

function printContent(conversion: Conversion, content: Content, id: string, print: Print): string {
  const entries = Object.entries(content).map(([type, { schema }]) => {
    return `${JSON.stringify(type)}: ${print(toInlineShape(conversion, schema ?? {}, `${id} ${type}`))}`;
  });
  return `{ ${entries.join(', ')} }`;
}

/** The schemas of what is sent and of what is answered. */
export function listBodies(
  document: ApiDocument,
  operation: DocumentOperation,
): { requests: SchemaNode[]; responses: SchemaNode[] } {
  const listSchemas = (content: Content): SchemaNode[] =>
    Object.values(content).flatMap(({ schema }) => (schema === undefined ? [] : [schema]));
  const responses = Object.values(operation.responses).map((response) => resolveResponse(document, response));
  return {
    requests: listSchemas(operation.requestBody?.content ?? {}),
    responses: responses.flatMap(({ content }) => listSchemas(content ?? {})),
  };
}
