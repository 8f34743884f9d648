/** What is left of a schema node once its many ways of saying the same thing are gone. */

export type Options = Readonly<Record<string, unknown>>;

export interface Property {
  readonly name: string;
  readonly shape: Shape;
  readonly isRequired: boolean;
}

export interface ObjectShape {
  readonly kind: 'object';
  readonly properties: readonly Property[];
  /** What properties that are not named must be; null where they are free. */
  readonly rest: Shape | false | null;
  readonly options: Options;
}

export interface UnionShape {
  readonly kind: 'union';
  readonly members: readonly Shape[];
  readonly options: Options;
}

export type Shape =
  | { readonly kind: 'string' | 'number' | 'integer' | 'boolean'; readonly options: Options }
  | { readonly kind: 'null' | 'unknown' | 'binary' }
  | { readonly kind: 'literal'; readonly value: string | number | boolean; readonly options: Options }
  | { readonly kind: 'array'; readonly items: Shape; readonly options: Options }
  | ObjectShape
  | { readonly kind: 'map'; readonly values: Shape; readonly options: Options }
  | UnionShape
  | { readonly kind: 'intersection'; readonly members: readonly Shape[] }
  | { readonly kind: 'reference'; readonly name: string }
  /** The component that is being described, from within. */
  | { readonly kind: 'self' };

/** The shapes directly below this one. */
export function listParts(shape: Shape): readonly Shape[] {
  switch (shape.kind) {
    case 'array':
      return [shape.items];
    case 'map':
      return [shape.values];
    case 'object':
      return [
        ...shape.properties.map((property) => property.shape),
        ...(shape.rest === null || shape.rest === false ? [] : [shape.rest]),
      ];
    case 'union':
    case 'intersection':
      return shape.members;
    default:
      return [];
  }
}

/** Names of the components that a shape refers to, each once, in order. */
export function listReferences(shape: Shape): string[] {
  const own = shape.kind === 'reference' ? [shape.name] : [];
  return [...new Set([...own, ...listParts(shape).flatMap(listReferences)])];
}

export function hasSelf(shape: Shape): boolean {
  return shape.kind === 'self' || listParts(shape).some(hasSelf);
}

/** A union without unions inside and without repetition. */
export function toUnion(members: readonly Shape[], options: Options): Shape {
  const flat = members.flatMap((member) =>
    member.kind === 'union' && Object.keys(member.options).length === 0 ? member.members : [member],
  );
  const seen = new Set<string>();
  const kept = flat.filter((member) => {
    const text = JSON.stringify(member);
    return !seen.has(text) && seen.add(text);
  });
  const [only] = kept;
  if (only === undefined) throw new Error('a union needs a member');
  return kept.length === 1 ? addOptions(only, options) : { kind: 'union', members: kept, options };
}

function addOptions(shape: Shape, options: Options): Shape {
  return 'options' in shape ? { ...shape, options: { ...shape.options, ...options } } : shape;
}

/** `shape` or null. A default moves out to the whole. */
export function toNullable(shape: Shape): Shape {
  if (shape.kind === 'null') return shape;
  if (shape.kind === 'union' && shape.members.some((member) => member.kind === 'null')) return shape;
  const options = 'options' in shape ? shape.options : {};
  if (!('default' in options)) return toUnion([shape, { kind: 'null' }], {});
  const { default: value, ...others } = options;
  return toUnion([{ ...shape, options: others } as Shape, { kind: 'null' }], { default: value });
}
