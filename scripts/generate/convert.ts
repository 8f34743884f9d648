/** Schema nodes of the document → shapes. */

import { type ApiDocument, getComponent, type SchemaNode, toComponentName } from './document.ts';
import { type ObjectShape, type Options, type Property, type Shape, toNullable, toUnion } from './shapes.ts';

export interface Conversion {
  readonly document: ApiDocument;
  /** Objects that the document closes (`additionalProperties: false`) and that stay closed. */
  readonly closed: ReadonlySet<SchemaNode>;
  /** Told what of the document does not make it into the schemas, and where that stood. */
  note(where: string, what: string): void;
}

/** Where a node stands: the component, for references to itself, and the path, for notes. */
interface Place {
  readonly component: string | null;
  readonly path: string;
}

export function toComponentShape(conversion: Conversion, name: string): Shape {
  return toShape(conversion, getComponent(conversion.document, name), { component: name, path: name });
}

/** The shape of a node that stands outside of the components, such as a parameter's. */
export function toInlineShape(conversion: Conversion, node: SchemaNode, path: string): Shape {
  return toShape(conversion, node, { component: null, path });
}

function toShape(conversion: Conversion, node: SchemaNode, place: Place): Shape {
  const types = toTypes(node);
  const isNullable = node.nullable === true || (types.length > 1 && types.includes('null'));
  const shape = toBareShape(conversion, node, place);
  return isNullable && !isNullableReference(conversion, shape) ? toNullable(shape) : shape;
}

function isNullableReference(conversion: Conversion, shape: Shape): boolean {
  if (shape.kind !== 'reference') return false;
  const target = toComponentShape({ ...conversion, note: () => {} }, shape.name);
  return target.kind === 'union' && target.members.some((member) => member.kind === 'null');
}

/** The shape without regard to null. */
function toBareShape(conversion: Conversion, node: SchemaNode, place: Place): Shape {
  if (node.$recursiveRef !== undefined) return { kind: 'self' };
  if (node.$ref !== undefined) {
    const name = toComponentName(node.$ref);
    return name === place.component ? { kind: 'self' } : { kind: 'reference', name };
  }
  if (node.allOf !== undefined) return toMergedShape(conversion, node.allOf, place);
  const alternatives = node.oneOf ?? node.anyOf;
  if (alternatives !== undefined) return toChoice(conversion, node, alternatives, place);
  if (node.enum !== undefined || node.const !== undefined) return toLiterals(node);
  const types = toTypes(node).filter((type) => type !== 'null');
  if (types.length > 1) {
    const members = types.map((type) =>
      toTypedShape(conversion, { ...node, default: undefined }, type, place),
    );
    return toUnion(members, pickOptions(node, ['default']));
  }
  return toTypedShape(conversion, node, types[0] ?? toImpliedType(node), place);
}

function toTypes(node: SchemaNode): string[] {
  return node.type === undefined ? [] : [node.type].flat();
}

/** OpenAI's document leaves `type` away here and there. */
function toImpliedType(node: SchemaNode): string {
  if (toTypes(node).includes('null')) return 'null';
  if (node.properties !== undefined || node.additionalProperties !== undefined) return 'object';
  return node.items === undefined ? 'unknown' : 'array';
}

const BOUNDS: Readonly<Record<string, readonly string[]>> = {
  string: ['minLength', 'maxLength', 'pattern', 'default'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'default'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'default'],
  boolean: ['default'],
  array: ['minItems', 'maxItems', 'uniqueItems', 'default'],
  object: ['minProperties', 'maxProperties', 'default'],
};

/** Keywords that say something about values and that a kind may not be able to keep. */
const CONSTRAINTS = [...new Set([...Object.values(BOUNDS).flat(), 'format', 'propertyNames'])];

function toTypedShape(conversion: Conversion, node: SchemaNode, type: string, place: Place): Shape {
  if (type === 'string' && node.format === 'binary') return { kind: 'binary' };
  const kept = (BOUNDS[type] ?? []).filter((keyword) => keyword !== 'pattern' || isRegExp(node.pattern));
  for (const keyword of CONSTRAINTS) {
    if (node[keyword] === undefined || kept.includes(keyword)) continue;
    conversion.note(place.path, `${keyword} ${JSON.stringify(node[keyword])}`);
  }
  const options = pickOptions(node, kept);
  switch (type) {
    case 'string':
    case 'number':
    case 'integer':
    case 'boolean':
      return { kind: type, options };
    case 'null':
    case 'unknown':
      return { kind: type };
    case 'array':
      return { kind: 'array', items: toItems(conversion, node, place), options };
    case 'object':
      return toObjectShape(conversion, [node], options, place);
    default:
      throw new Error(`${place.path}: unknown type '${type}'`);
  }
}

/** TypeBox compiles patterns as they are; one in a dialect of its own would break the whole schema. */
function isRegExp(pattern: unknown): boolean {
  try {
    return typeof pattern === 'string' && new RegExp(pattern) instanceof RegExp;
  } catch {
    return false;
  }
}

function toItems(conversion: Conversion, node: SchemaNode, place: Place): Shape {
  if (node.items === undefined) return { kind: 'unknown' };
  return toShape(conversion, node.items, { ...place, path: `${place.path}[]` });
}

function pickOptions(node: SchemaNode, names: readonly string[]): Options {
  return Object.fromEntries(
    names.filter((name) => node[name] !== undefined).map((name) => [name, node[name]]),
  );
}

/** One object of several parts. Where two parts name a property, the later one refines the earlier. */
function toObjectShape(
  conversion: Conversion,
  parts: readonly SchemaNode[],
  options: Options,
  place: Place,
): Shape {
  const shapes = new Map<string, Shape>();
  for (const part of parts) {
    for (const [name, child] of Object.entries(part.properties ?? {})) {
      shapes.set(name, toShape(conversion, child, { ...place, path: `${place.path}.${name}` }));
    }
  }
  const required = new Set(parts.flatMap((part) => part.required ?? []));
  const rest =
    parts.map((part) => toRest(conversion, part, place)).findLast((found) => found !== null) ?? null;
  if (shapes.size === 0 && rest !== false) {
    return { kind: 'map', values: rest ?? { kind: 'unknown' }, options };
  }
  const properties = [...shapes].map(
    ([name, shape]): Property => ({ name, shape, isRequired: required.has(name) }),
  );
  return { kind: 'object', properties, rest, options } satisfies ObjectShape;
}

function toRest(conversion: Conversion, node: SchemaNode, place: Place): Shape | false | null {
  const rest = node.additionalProperties;
  if (typeof rest === 'object') return toShape(conversion, rest, { ...place, path: `${place.path}.*` });
  return rest === false && conversion.closed.has(node) ? false : null;
}

/** `enum` and `const`. */
function toLiterals(node: SchemaNode): Shape {
  const values = node.enum ?? [node.const];
  const members = values.map((value): Shape => {
    if (value === null) return { kind: 'null' };
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      return { kind: 'literal', value, options: {} };
    }
    throw new Error(`a literal of type ${typeof value} is not known`);
  });
  return toUnion(members, pickOptions(node, ['default']));
}

/** `oneOf` and `anyOf`. Discriminators need no mention: the members' literals say the same. */
function toChoice(
  conversion: Conversion,
  node: SchemaNode,
  alternatives: readonly SchemaNode[],
  place: Place,
): Shape {
  const { oneOf: _, anyOf: __, ...own } = node;
  const described = alternatives.filter((member) => !isRuleBetweenFields(member));
  if (described.length < alternatives.length) {
    conversion.note(place.path, `rule between fields ${JSON.stringify(alternatives)}`);
  }
  if (described.length === 0) return toBareShape(conversion, own, place);
  const union = toAlternatives(conversion, node, described, place);
  if (node.properties === undefined) return union;
  return { kind: 'intersection', members: [toBareShape(conversion, own, place), union] };
}

/** `{ required: [...] }` alone: says which fields go together, and nothing about any of them. */
function isRuleBetweenFields(node: SchemaNode): boolean {
  return node.required !== undefined && Object.keys(node).length === 1;
}

function toAlternatives(
  conversion: Conversion,
  node: SchemaNode,
  members: readonly SchemaNode[],
  place: Place,
): Shape {
  const isNullable = members.some((member) => member.type === 'null');
  const others = members.filter((member) => member.type !== 'null');
  const takesAnyString = others.some(isAnyString);
  // `anyOf [string, enum]` lists values only to suggest them: the plain string takes them in anyway.
  const kept = takesAnyString
    ? others.filter((member) => !isStringEnum(conversion.document, member))
    : others;
  const options = node.properties === undefined ? pickOptions(node, ['default']) : {};
  const union = toUnion(
    kept.map((member, index) => toShape(conversion, member, { ...place, path: `${place.path}|${index}` })),
    options,
  );
  return isNullable && !isNullableReference(conversion, union) ? toNullable(union) : union;
}

function isAnyString(node: SchemaNode): boolean {
  return (
    node.type === 'string' &&
    node.enum === undefined &&
    node.maxLength === undefined &&
    node.pattern === undefined
  );
}

function isStringEnum(document: ApiDocument, node: SchemaNode): boolean {
  const target = node.$ref === undefined ? node : getComponent(document, toComponentName(node.$ref));
  return target.type === 'string' && target.enum !== undefined;
}

/** `allOf`: one object where all members are objects, an intersection otherwise. */
function toMergedShape(conversion: Conversion, members: readonly SchemaNode[], place: Place): Shape {
  // `allOf [x, { nullable: true }]` is how OpenAI's document makes a reference nullable.
  const described = members.filter((member) => Object.keys(member).some((key) => key !== 'nullable'));
  const isNullable = described.length < members.length && members.some((member) => member.nullable === true);
  const [only] = described;
  if (only === undefined) return { kind: 'unknown' };
  const parts = described.flatMap((member) => listObjectParts(conversion.document, member) ?? [null]);
  const objects = parts.filter((part) => part !== null);
  let shape: Shape;
  if (described.length === 1) shape = toShape(conversion, only, place);
  else if (objects.length === parts.length) shape = toObjectShape(conversion, objects, {}, place);
  else
    shape = { kind: 'intersection', members: described.map((member) => toShape(conversion, member, place)) };
  return isNullable && !isNullableReference(conversion, shape) ? toNullable(shape) : shape;
}

/** The plain objects that a node consists of; null where there is more to it. */
function listObjectParts(document: ApiDocument, node: SchemaNode): SchemaNode[] | null {
  if (node.$ref !== undefined)
    return listObjectParts(document, getComponent(document, toComponentName(node.$ref)));
  if (node.allOf !== undefined) {
    const parts = node.allOf.map((member) => listObjectParts(document, member));
    return parts.some((part) => part === null) ? null : parts.flatMap((part) => part ?? []);
  }
  if (node.oneOf !== undefined || node.anyOf !== undefined || node.nullable === true) return null;
  return node.type === 'object' || node.properties !== undefined ? [node] : null;
}
