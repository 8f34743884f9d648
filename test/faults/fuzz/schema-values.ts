/** Values that a schema takes, by chance. */

import type { TSchema } from '@sinclair/typebox';
import type { Random } from '../seeded-random.ts';

/** Where in a body a value stands, as the names of its fields: `tools.function.name`. Items of lists have no name. */
export type Place = string;

/** Knows what a schema does not say: ids of what is there, rules between fields. Undefined: nothing of this place. */
export type Hint = (place: Place, random: Random) => unknown;

const DEPTH_MAX = 6;
const ITEMS_MAX = 3;
const OPTIONAL_CHANCE = 0.4;
const TEXT_CHARACTERS_MAX = 40;
const NUMBER_MAX = 1000;
const TEXTS = [
  'a',
  'Hello there',
  'naïve café',
  '日本語',
  '🎭🎬',
  'مرحبا',
  'line\nbreak',
  'it\'s {"quoted"}',
  '0',
  '  ',
];

export interface SchemaValues {
  toValue(schema: TSchema, place?: Place): unknown;
}

export function createSchemaValues(random: Random, hint: Hint = () => undefined): SchemaValues {
  /** Schemas that hold themselves, by their names. */
  const named = new Map<string, TSchema>();

  const toNumber = ({ minimum, maximum, type }: TSchema): number => {
    const min = typeof minimum === 'number' ? minimum : 0;
    const max = typeof maximum === 'number' ? maximum : Math.max(min, NUMBER_MAX);
    if (type === 'integer') return random.integer(Math.ceil(min), Math.floor(max));
    return min + random.next() * (max - min);
  };

  const toText = ({ minLength = 0, maxLength = TEXT_CHARACTERS_MAX }: TSchema): string => {
    const text = random.pick(TEXTS);
    return [...text.padEnd(Number(minLength), 'x')]
      .slice(0, Math.min(Number(maxLength), TEXT_CHARACTERS_MAX))
      .join('');
  };

  const toObject = (schema: TSchema, place: Place, depth: number): Record<string, unknown> => {
    const required = new Set<string>(schema.required ?? []);
    const fields = Object.entries<TSchema>(schema.properties ?? {})
      .filter(([name]) => required.has(name) || (depth < DEPTH_MAX && random.chance(OPTIONAL_CHANCE)))
      .map(([name, part]) => [name, make(part, place === '' ? name : `${place}.${name}`, depth + 1)]);
    const further = schema.additionalProperties;
    if (typeof further === 'object') {
      for (let count = random.integer(0, ITEMS_MAX); count > 0; count -= 1) {
        fields.push([`key_${count}`, make(further, `${place}.*`, depth + 1)]);
      }
    }
    return Object.fromEntries(fields);
  };

  const toList = (schema: TSchema, place: Place, depth: number): unknown[] => {
    const { items, minItems = 0, maxItems = ITEMS_MAX } = schema;
    const longest =
      depth >= DEPTH_MAX ? Number(minItems) : Math.min(Number(maxItems), Number(minItems) + ITEMS_MAX);
    const length = random.integer(Number(minItems), Math.max(longest, Number(minItems)));
    return Array.from({ length }, () => make(items, place, depth + 1));
  };

  const make = (schema: TSchema, place: Place, depth: number): unknown => {
    const hinted = hint(place, random);
    if (hinted !== undefined) return hinted;
    if (typeof schema.$id === 'string') named.set(schema.$id, schema);
    if (typeof schema.$ref === 'string') {
      const found = named.get(schema.$ref);
      if (found === undefined) throw new Error(`The schema ${schema.$ref} is not known at ${place}.`);
      return make(found, place, depth);
    }
    if ('const' in schema) return schema.const;
    const choices: readonly TSchema[] | undefined = schema.anyOf;
    if (choices !== undefined) {
      // Deep inside, what ends there.
      const flat = choices.filter(({ $ref, type }) => $ref === undefined && type !== 'array');
      return make(random.pick(depth >= DEPTH_MAX && flat.length > 0 ? flat : choices), place, depth);
    }
    switch (schema.type) {
      case 'null':
        return null;
      case 'boolean':
        return random.chance(0.5);
      case 'integer':
      case 'number':
        return toNumber(schema);
      case 'string':
        return toText(schema);
      case 'array':
        return toList(schema, place, depth);
      case 'object':
        return toObject(schema, place, depth);
      default:
        return random.pick<unknown>(['any', 1, true, null, ['list'], { key: 'value' }]);
    }
  };

  return { toValue: (schema, place = '') => make(schema, place, 0) };
}
