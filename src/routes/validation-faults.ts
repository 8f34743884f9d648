/** Finds the first fault of a value against a schema and words it as OpenAI does. Runs for bad requests only. */

import type { TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { ApiError, type ErrorCode } from '../errors.ts';

/** The JSON-schema side of a TypeBox schema. */
interface SchemaNode {
  type?: string;
  const?: unknown;
  anyOf?: SchemaNode[];
  properties?: Record<string, SchemaNode>;
  required?: string[];
  items?: SchemaNode;
  patternProperties?: Record<string, SchemaNode>;
  additionalProperties?: boolean | SchemaNode;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  /** A recursive schema names itself, and its parts refer to that name. */
  $id?: string;
  $ref?: string;
}

/** The recursive schemas within the one that is checked: a part alone cannot say what its references mean. */
type Recursive = ReadonlyMap<string, SchemaNode>;

function findRecursive(node: SchemaNode, found = new Map<string, SchemaNode>()): Recursive {
  if (node.$id !== undefined) found.set(node.$id, node);
  for (const part of Object.values(node)) {
    if (typeof part === 'object' && part !== null) findRecursive(part as SchemaNode, found);
  }
  return found;
}

/** Where in the value, and within what. */
interface Place {
  readonly path: string;
  readonly depth: number;
  readonly recursive: Recursive;
}

function into(place: Place, name: string | number): Place {
  const path = typeof name === 'number' ? `${place.path}[${name}]` : join(place.path, name);
  return { ...place, path, depth: place.depth + 1 };
}

function fits({ recursive }: Place, node: SchemaNode, value: unknown): boolean {
  return Value.Check(node as TSchema, [...recursive.values()] as TSchema[], value);
}

interface Fault {
  path: string;
  code: ErrorCode;
  wireCode: string;
  message: string;
}

/** Nesting of schemas that is followed; deeper faults are named at this depth. */
const DEPTH_MAX = 32;

export function describeFault(schema: TSchema, value: unknown): ApiError {
  const place = { path: '', depth: 0, recursive: findRecursive(schema as SchemaNode) };
  const fault = findFault(schema as SchemaNode, value, place);
  if (fault === null) {
    // Rules that this walk does not word (formats, patterns) still have a path.
    const first = Value.Errors(schema, value).First();
    const param = toParam(first?.path ?? '');
    return ApiError.invalidValue(param, `Invalid value for '${param}'.`);
  }
  return new ApiError(fault.code, fault.message, { param: fault.path || null, wireCode: fault.wireCode });
}

/** `/tools/0/function` → `tools[0].function`. */
function toParam(pointer: string): string {
  return pointer
    .split('/')
    .filter((part) => part !== '')
    .reduce(
      (path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`),
      '',
    );
}

function findFault(given: SchemaNode, value: unknown, place: Place): Fault | null {
  const { path } = place;
  const node = given.$ref === undefined ? given : (place.recursive.get(given.$ref) ?? given);
  if (place.depth > DEPTH_MAX || fits(place, node, value)) return null;
  if (node.anyOf !== undefined) return findUnionFault(node.anyOf, value, place);
  if (node.const !== undefined) return toValueFault([node], value, path);
  if (!hasType(node, value)) return toTypeFault([node], value, path);
  if (typeof value === 'string') return findStringFault(node, value, path);
  if (typeof value === 'number') return findNumberFault(node, value, path);
  if (Array.isArray(value)) return findArrayFault(node, value, place);
  return findObjectFault(node, value as Record<string, unknown>, place);
}

function findObjectFault(node: SchemaNode, value: Record<string, unknown>, place: Place): Fault | null {
  const { path } = place;
  for (const name of node.required ?? []) {
    if (value[name] === undefined) {
      const param = join(path, name);
      return {
        path: param,
        code: 'missing_required_parameter',
        wireCode: 'missing_required_parameter',
        message: `Missing required parameter: '${param}'.`,
      };
    }
  }
  for (const [name, item] of Object.entries(value)) {
    // A client may name its keys `constructor` or `__proto__`, which every object has without having it.
    const own = Object.hasOwn(node.properties ?? {}, name) ? node.properties?.[name] : undefined;
    const child = own ?? toOpenSchema(node);
    const fault = child === undefined ? null : findFault(child, item, into(place, name));
    if (fault !== null) return fault;
  }
  return null;
}

function toOpenSchema(node: SchemaNode): SchemaNode | undefined {
  const [pattern] = Object.values(node.patternProperties ?? {});
  return pattern ?? (typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined);
}

function findArrayFault(node: SchemaNode, value: unknown[], place: Place): Fault | null {
  const { path } = place;
  const count = value.length;
  if (node.maxItems !== undefined && count > node.maxItems) {
    return toBoundFault(
      path,
      'array_above_max_length',
      'array too long',
      'an array with maximum length',
      node.maxItems,
      `an array with length ${count}`,
    );
  }
  if (node.minItems !== undefined && count < node.minItems) {
    return toBoundFault(
      path,
      'array_below_min_length',
      'array too short',
      'an array with minimum length',
      node.minItems,
      `an array with length ${count}`,
    );
  }
  for (const [index, item] of value.entries()) {
    const fault = node.items === undefined ? null : findFault(node.items, item, into(place, index));
    if (fault !== null) return fault;
  }
  return null;
}

function findStringFault(node: SchemaNode, value: string, path: string): Fault | null {
  if (node.maxLength !== undefined && value.length > node.maxLength) {
    return toBoundFault(
      path,
      'string_above_max_length',
      'string too long',
      'a string with maximum length',
      node.maxLength,
      `a string with length ${value.length}`,
    );
  }
  if (node.minLength !== undefined && value.length < node.minLength) {
    return toBoundFault(
      path,
      'string_below_min_length',
      'string too short',
      'a string with minimum length',
      node.minLength,
      `a string with length ${value.length}`,
    );
  }
  return null;
}

function findNumberFault(node: SchemaNode, value: number, path: string): Fault | null {
  const kind = node.type === 'integer' ? 'integer' : 'decimal';
  if (node.maximum !== undefined && value > node.maximum) {
    return toBoundFault(
      path,
      `${kind}_above_max_value`,
      `${kind} above maximum value`,
      'a value <=',
      node.maximum,
      String(value),
    );
  }
  if (node.minimum !== undefined && value < node.minimum) {
    return toBoundFault(
      path,
      `${kind}_below_min_value`,
      `${kind} below minimum value`,
      'a value >=',
      node.minimum,
      String(value),
    );
  }
  return null;
}

function toBoundFault(
  path: string,
  wireCode: string,
  what: string,
  expected: string,
  bound: number,
  got: string,
): Fault {
  return {
    path,
    code: 'invalid_value',
    wireCode,
    message: `Invalid '${path}': ${what}. Expected ${expected} ${bound}, but got ${got} instead.`,
  };
}

/** The member that the value means: by its tag (`type: "function"`), else by its JSON type. */
function findUnionFault(members: SchemaNode[], value: unknown, place: Place): Fault | null {
  const { path } = place;
  const deeper = { ...place, depth: place.depth + 1 };
  const flat = flatten(members);
  const typed = flat.filter((member) => hasType(member, value));
  if (typed.length === 0) return toTypeFault(flat, value, path);
  if (typed.every((member) => member.const !== undefined)) return toValueFault(typed, value, path);
  if (isObject(value)) {
    const tagFault = findTagFault(typed, value, place);
    if (tagFault !== null) return tagFault;
    const tagged = typed.filter((member) => tagMatches(member, value, place));
    const [chosen] = tagged.length > 0 ? tagged : typed;
    return chosen === undefined ? null : findFault(chosen, value, deeper);
  }
  for (const member of typed) {
    if (member.const !== undefined) continue;
    const fault = findFault(member, value, deeper);
    if (fault !== null) return fault;
  }
  return toValueFault(typed, value, path);
}

/** Members of nested unions, side by side. */
function flatten(members: SchemaNode[]): SchemaNode[] {
  return members.flatMap((member) => (member.anyOf === undefined ? [member] : flatten(member.anyOf)));
}

function findTagFault(members: SchemaNode[], value: Record<string, unknown>, place: Place): Fault | null {
  const tags = members.map((member) => member.properties?.type).filter((tag) => tag !== undefined);
  if (tags.length !== members.length || members.some((member) => tagMatches(member, value, place)))
    return null;
  const param = join(place.path, 'type');
  if (value.type === undefined) {
    return {
      path: param,
      code: 'missing_required_parameter',
      wireCode: 'missing_required_parameter',
      message: `Missing required parameter: '${param}'.`,
    };
  }
  const flat = flatten(tags);
  return flat.some((tag) => hasType(tag, value.type))
    ? toValueFault(flat, value.type, param)
    : toTypeFault(flat, value.type, param);
}

function tagMatches(member: SchemaNode, value: Record<string, unknown>, place: Place): boolean {
  const tag = member.properties?.type;
  return tag !== undefined && fits(place, tag, value.type);
}

function toValueFault(members: SchemaNode[], value: unknown, path: string): Fault {
  const supported = members
    .filter((member) => member.const !== undefined)
    .map((member) => `'${member.const}'`);
  return {
    path,
    code: 'invalid_value',
    wireCode: 'invalid_value',
    message: `Invalid value: ${JSON.stringify(value)?.replaceAll('"', "'")}. Supported values are: ${supported.join(', ')}.`,
  };
}

function toTypeFault(members: SchemaNode[], value: unknown, path: string): Fault {
  const expected = [...new Set(members.map(toTypeName))].join(' or ');
  return {
    path,
    code: 'invalid_type',
    wireCode: 'invalid_type',
    message: `Invalid type for '${path}': expected ${expected}, but got ${toGivenName(value)} instead.`,
  };
}

function hasType(node: SchemaNode, value: unknown): boolean {
  if (node.anyOf !== undefined) return node.anyOf.some((member) => hasType(member, value));
  const type = node.type ?? (node.const === undefined ? undefined : typeof node.const);
  switch (type) {
    case undefined:
      return true;
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a decimal',
  integer: 'an integer',
  boolean: 'a boolean',
  object: 'an object',
  null: 'null',
};

function toTypeName(node: SchemaNode): string {
  if (node.type === 'array') {
    const item = node.items?.type;
    return item === undefined || item === 'null' ? 'an array' : `an array of ${item}s`;
  }
  const type = node.type ?? (node.const === undefined ? 'object' : typeof node.const);
  return TYPE_NAMES[type] ?? `a ${type}`;
}

function toGivenName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (Number.isInteger(value)) return 'an integer';
  return TYPE_NAMES[typeof value] ?? `a ${typeof value}`;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
