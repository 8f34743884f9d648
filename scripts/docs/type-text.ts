/** Schemas in words: `text (at most 256 characters)`, `list of` what, or a link to the object that has a table of its own. */

export interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly SchemaNode[];
  readonly allOf?: readonly SchemaNode[];
  readonly items?: SchemaNode;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** Fields of fields of fields. */
const DEPTH_MAX = 4;
/** Values of a list that are told one by one. */
const VALUES_MAX = 12;
const OBJECTS_MAX = 1_000;

/** Writes types, and remembers which objects it has named. */
export class TypeText {
  readonly #components: Readonly<Record<string, SchemaNode>>;
  readonly #named = new Set<string>();

  constructor(components: Readonly<Record<string, SchemaNode>>) {
    this.#components = components;
  }

  toType(schema: SchemaNode): string {
    if (schema.$ref !== undefined) {
      const target = this.#follow(schema);
      if (isPlain(target)) return this.toType(target);
      const name = toName(schema.$ref);
      this.#named.add(name);
      return `[${name}](#${name.toLowerCase()})`;
    }
    const bounds = toBounds(schema).join(', ');
    return bounds === '' ? this.#toShape(schema) : `${this.#toShape(schema)} (${bounds})`;
  }

  /** A row for each field, and for those of objects within: name, type, whether it is needed. */
  toFields(schema: SchemaNode): string[][] {
    const target = this.#follow(schema);
    const rows = new Map<string, Field>();
    for (const { schema: object, suffix } of findObjects(target, '')) {
      this.#collect(object, suffix === '' ? '' : `${suffix}.`, 1, rows);
    }
    if (rows.size === 0) return [['(the whole)', this.toType(target), 'yes']];
    const fields = [...rows].map(([path, { types, isNeeded }]) => [
      `\`${path}\``,
      [...types].join(' or '),
      isNeeded ? 'yes' : '',
    ]);
    const others = (target.anyOf ?? []).filter((one) => one.$ref !== undefined);
    return [...fields, ...others.map((one) => ['(or)', this.toType(one), ''])];
  }

  /** The objects that were named so far, and those that they name, by name. */
  takeNamed(): { name: string; rows: string[][] }[] {
    const objects = new Map<string, string[][]>();
    for (let round = 0; round < OBJECTS_MAX; round++) {
      const name = [...this.#named].find((one) => !objects.has(one));
      if (name === undefined) break;
      objects.set(name, this.toFields(this.#components[name] ?? {}));
    }
    return [...objects]
      .map(([name, rows]) => ({ name, rows }))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  #follow(schema: SchemaNode): SchemaNode {
    return schema.$ref === undefined ? schema : (this.#components[toName(schema.$ref)] ?? {});
  }

  #toShape(schema: SchemaNode): string {
    if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
    const choices = schema.anyOf ?? schema.allOf;
    if (choices !== undefined) return this.#toChoice(choices);
    if (schema.type === 'array') {
      return `list of ${schema.items === undefined ? 'anything' : this.toType(schema.items)}`;
    }
    if (schema.patternProperties !== undefined) {
      const [value = {}] = Object.values(schema.patternProperties);
      return `map to ${this.toType(value)}`;
    }
    return toWord(schema);
  }

  #toChoice(choices: readonly SchemaNode[]): string {
    const texts = [...new Set(choices.map((choice) => this.toType(choice)))];
    if (texts.length <= VALUES_MAX) return texts.join(' or ');
    return `${texts.slice(0, VALUES_MAX).join(' or ')} or ${texts.length - VALUES_MAX} more`;
  }

  #collect(schema: SchemaNode, prefix: string, depth: number, rows: Map<string, Field>): void {
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      const path = `${prefix}${name}`;
      const row = rows.get(path) ?? { types: new Set<string>(), isNeeded: true };
      row.types.add(this.toType(field));
      row.isNeeded &&= schema.required?.includes(name) ?? false;
      rows.set(path, row);
      if (depth >= DEPTH_MAX) continue;
      for (const inner of findObjects(field, '')) {
        this.#collect(inner.schema, `${path}${inner.suffix}.`, depth + 1, rows);
      }
    }
  }
}

/** Names of plain values say nothing. */
function isPlain({ properties, patternProperties, anyOf }: SchemaNode): boolean {
  return (
    properties === undefined &&
    patternProperties === undefined &&
    (anyOf === undefined || anyOf.every((one) => one.const !== undefined))
  );
}

/** Whatever has fields: the object itself, those that it may be, or those that it is a list of. */
function findObjects(schema: SchemaNode, suffix: string): { schema: SchemaNode; suffix: string }[] {
  if (schema.$ref !== undefined) return [];
  if (schema.properties !== undefined) return [{ schema, suffix }];
  if (schema.items !== undefined) return findObjects(schema.items, `${suffix}[]`);
  return (schema.anyOf ?? schema.allOf ?? []).flatMap((one) => findObjects(one, suffix));
}

interface Field {
  readonly types: Set<string>;
  isNeeded: boolean;
}

function toName(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

const WORDS: Readonly<Record<string, string>> = Object.freeze({
  string: 'text',
  integer: 'whole number',
  number: 'number',
  boolean: 'true or false',
  null: 'null',
  object: 'object',
});

function toWord({ type, format }: SchemaNode): string {
  if (format === 'binary') return 'bytes of a file';
  return type === undefined ? 'anything' : (WORDS[type] ?? type);
}

function toBounds(schema: SchemaNode): string[] {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems } = schema;
  const bounds = [
    toRange(minimum, maximum, ''),
    toRange(minLength, maxLength, ' characters'),
    toRange(minItems, maxItems, ' items'),
  ];
  if (schema.default !== undefined) bounds.push(`default \`${JSON.stringify(schema.default)}\``);
  return bounds.filter((bound) => bound !== '');
}

function toRange(from: number | undefined, to: number | undefined, unit: string): string {
  if (from !== undefined && to !== undefined) return `${from} to ${to}${unit}`;
  if (from !== undefined) return `at least ${from}${unit}`;
  return to === undefined ? '' : `at most ${to}${unit}`;
}
