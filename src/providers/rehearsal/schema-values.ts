/**
 * Values that satisfy a JSON schema, made from the words of a message where they fit.
 *
 * Understood: type, enum, const, default, examples, properties, required, items, prefixItems, anyOf, oneOf, allOf,
 * $ref within the schema, and the bounds of strings, numbers, lists and objects. Not understood: not, if/then/else,
 * dependent schemas, contains and patterns beyond a few usual ones; a schema that needs these gets what the rest says.
 */

import { type JsonRecord, toList, toRecord, toText } from '../json-values.ts';
import type { Hints } from './hints.ts';
import { makeText } from './text-values.ts';

/** Levels of nesting; a schema that demands itself without end is answered with null there. */
const DEPTH_MAX = 24;
/** From here on lists are as short as they may be, which ends schemas that hold lists of themselves. */
const FULL_LIST_DEPTH_MAX = 4;
const ITEMS_MAX = 1000;
/** Values in all: a small schema can demand very many. */
const VALUES_MAX = 5000;

export interface ValueContext {
  readonly hints: Hints;
  readonly root: JsonRecord;
  readonly depth: number;
  /** Values that may still be made; shared by all parts. */
  readonly budget: { left: number };
  /** The property that the value is for; empty at the top. */
  readonly name: string;
}

/** A value for the whole schema, from these hints. */
export function makeValue(schema: unknown, hints: Hints): unknown {
  const root = toRecord(schema) ?? {};
  return makeAny(root, { hints, root, depth: 0, budget: { left: VALUES_MAX }, name: '' });
}

function makeAny(given: JsonRecord, context: ValueContext): unknown {
  context.budget.left -= 1;
  if (context.depth > DEPTH_MAX || context.budget.left < 0) return null;
  const schema = toPlainSchema(given, context);
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return chooseOption(schema.enum, schema, context.hints);
  switch (toType(schema)) {
    case 'object':
      return makeObject(schema, context);
    case 'array':
      return makeList(schema, context);
    case 'integer':
    case 'number':
      return makeNumber(schema, context);
    case 'boolean':
      return makeBoolean(schema, context);
    case 'null':
      return null;
    default:
      return makeText(schema, context);
  }
}

/** Follows references, merges `allOf`, and takes the first alternative that is more than null. */
function toPlainSchema(given: JsonRecord, context: ValueContext): JsonRecord {
  let schema = given;
  for (let step = 0; step < DEPTH_MAX; step += 1) {
    const reference = toText(schema.$ref);
    const alternatives = [...toList(schema.anyOf), ...toList(schema.oneOf)].map(
      (option) => toRecord(option) ?? {},
    );
    if (reference !== null) {
      const { $ref: _, ...rest } = schema;
      schema = mergeSchemas(resolveReference(context.root, reference), rest);
    } else if (Array.isArray(schema.allOf)) {
      const { allOf, ...rest } = schema;
      schema = toList(allOf).reduce<JsonRecord>((sum, part) => mergeSchemas(sum, toRecord(part) ?? {}), rest);
    } else if (alternatives.length > 0) {
      const { anyOf: _, oneOf: __, ...rest } = schema;
      const chosen = alternatives.find((option) => option.type !== 'null') ?? alternatives[0] ?? {};
      schema = mergeSchemas(rest, chosen);
    } else {
      return schema;
    }
  }
  return schema;
}

function mergeSchemas(first: JsonRecord, second: JsonRecord): JsonRecord {
  const properties = { ...toRecord(first.properties), ...toRecord(second.properties) };
  const required = [...new Set([...toList(first.required), ...toList(second.required)])];
  return {
    ...first,
    ...second,
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(required.length === 0 ? {} : { required }),
  };
}

/** `#/$defs/place`: a path into the schema itself; anything else leads to the schema that allows all. */
function resolveReference(root: JsonRecord, reference: string): JsonRecord {
  if (reference === '#' || reference === root.$id) return root;
  if (!reference.startsWith('#/')) return {};
  let value: unknown = root;
  for (const part of reference.slice(2).split('/')) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    value = Array.isArray(value) ? value[Number(key)] : toRecord(value)?.[key];
  }
  return toRecord(value) ?? {};
}

function toType(schema: JsonRecord): string {
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  const type = types.find((name) => typeof name === 'string' && name !== 'null') ?? types[0];
  if (typeof type === 'string') return type;
  if (schema.properties !== undefined || schema.required !== undefined) return 'object';
  if (schema.items !== undefined || schema.prefixItems !== undefined) return 'array';
  if (schema.minimum !== undefined || schema.maximum !== undefined) return 'number';
  return 'string';
}

function chooseOption(options: readonly unknown[], schema: JsonRecord, hints: Hints): unknown {
  const mentioned = options.find((option) => option !== null && hints.mentions(String(option)));
  if (mentioned !== undefined) return mentioned;
  return options.includes(schema.default)
    ? schema.default
    : (options.find((option) => option !== null) ?? null);
}

/** Required properties are filled; the others only where the message speaks of them. */
function makeObject(schema: JsonRecord, context: ValueContext): JsonRecord {
  const properties = toRecord(schema.properties) ?? {};
  const required = new Set(toList(schema.required).filter((name) => typeof name === 'string'));
  const names = new Set([...Object.keys(properties), ...required]);
  const value: Record<string, unknown> = {};
  const fill = (name: string): void => {
    const property = toRecord(properties[name]) ?? {};
    value[name] = makeAny(property, { ...context, depth: context.depth + 1, name });
  };
  for (const name of names) {
    if (required.has(name) || speaksOf(name, toRecord(properties[name]) ?? {}, context)) fill(name);
  }
  const countMin = toCount(schema.minProperties) ?? 0;
  for (const name of names) {
    if (Object.keys(value).length >= countMin) break;
    if (!(name in value)) fill(name);
  }
  const [patterned] = Object.values(toRecord(schema.patternProperties) ?? {});
  const extra = toRecord(schema.additionalProperties) ?? toRecord(patterned) ?? {};
  for (let at = 1; Object.keys(value).length < Math.min(countMin, ITEMS_MAX); at += 1) {
    value[`key${at}`] = makeAny(extra, { ...context, depth: context.depth + 1, name: '' });
  }
  return value;
}

function speaksOf(name: string, property: JsonRecord, { hints, ...context }: ValueContext): boolean {
  if (hints.named(name) !== null) return true;
  const { enum: options } = toPlainSchema(property, { hints, ...context });
  return toList(options).some((option) => typeof option === 'string' && hints.mentions(option));
}

function makeList(schema: JsonRecord, context: ValueContext): readonly unknown[] {
  // Before `prefixItems`, a list of `items` said the same.
  const first = toList(schema.prefixItems ?? schema.items);
  const countMin = toCount(schema.minItems) ?? 0;
  const countMax = Math.min(toCount(schema.maxItems) ?? ITEMS_MAX, ITEMS_MAX);
  const wanted = context.depth < FULL_LIST_DEPTH_MAX ? Math.max(countMin, first.length, 1) : countMin;
  const items: unknown[] = [];
  const inner = { ...context, depth: context.depth + 1 };
  const item = toRecord(schema.items) ?? {};
  const options = toList(toPlainSchema(item, inner).enum);
  if (options.length > 0 && first.length === 0) {
    return chooseOptions(
      options,
      Math.min(wanted, countMax),
      countMax,
      schema.uniqueItems === true,
      context.hints,
    );
  }
  const named = context.hints.named(context.name);
  for (let at = 0; items.length < Math.min(wanted, countMax); at += 1) {
    const made = makeAny(toRecord(first[at]) ?? item, {
      ...inner,
      name: at === 0 && named !== null ? context.name : '',
    });
    items.push(schema.uniqueItems === true ? makeDistinct(made, items, item) : made);
  }
  return items;
}

/** Every option that is mentioned, or the first ones. */
function chooseOptions(
  options: readonly unknown[],
  wanted: number,
  countMax: number,
  isUnique: boolean,
  hints: Hints,
): readonly unknown[] {
  const mentioned = options.filter((option) => typeof option === 'string' && hints.mentions(option));
  const items = mentioned.slice(0, countMax);
  const others = isUnique ? options.filter((option) => !items.includes(option)) : options;
  for (let at = 0; items.length < wanted && others.length > 0; at += 1) {
    if (isUnique && at >= others.length) break;
    items.push(others[at % others.length]);
  }
  return items;
}

function makeDistinct(made: unknown, items: readonly unknown[], schema: JsonRecord): unknown {
  let value = made;
  for (let at = 2; at < ITEMS_MAX && items.includes(value); at += 1) {
    if (typeof made === 'number') {
      const step = toNumber(schema.multipleOf) ?? 1;
      value = made + (at - 1) * step;
    } else if (typeof made === 'string') {
      value = `${made.slice(0, (toCount(schema.maxLength) ?? made.length + 8) - String(at).length)}${at}`;
    } else {
      return value;
    }
  }
  return value;
}

function makeNumber(schema: JsonRecord, { hints, name }: ValueContext): number {
  const isWhole = toType(schema) === 'integer';
  const step = toNumber(schema.multipleOf) ?? (isWhole ? 1 : null);
  const range = toRange(schema, step ?? 0);
  const named = Number(hints.named(name) ?? Number.NaN);
  const candidates = Number.isFinite(named) ? [named] : hints.numbers();
  const fits = candidates.find((value) => fitsNumber(value, range, step));
  if (fits !== undefined) {
    hints.useNumber(fits);
    return fits;
  }
  const fallback = toNumber(schema.default) ?? toNumber(toList(schema.examples)[0]);
  if (fallback !== null && fitsNumber(fallback, range, step)) return fallback;
  if (fitsNumber(1, range, step)) return 1;
  return step === null ? toNearest(1, range) : toMultiple(range, step);
}

interface NumberRange {
  readonly min: number;
  readonly max: number;
}

/** Bounds that exclude their value are moved by one step (or by a bit, without steps). */
function toRange(schema: JsonRecord, step: number): NumberRange {
  const nudge = step > 0 ? step : 1e-3;
  // Draft 4 wrote `exclusiveMinimum: true` beside `minimum`.
  const lowEdge =
    toNumber(schema.exclusiveMinimum) ?? (schema.exclusiveMinimum === true ? toNumber(schema.minimum) : null);
  const highEdge =
    toNumber(schema.exclusiveMaximum) ?? (schema.exclusiveMaximum === true ? toNumber(schema.maximum) : null);
  const min = Math.max(toNumber(schema.minimum) ?? -Infinity, lowEdge === null ? -Infinity : lowEdge + nudge);
  const max = Math.min(toNumber(schema.maximum) ?? Infinity, highEdge === null ? Infinity : highEdge - nudge);
  return min <= max ? { min, max } : { min: (min + max) / 2, max: (min + max) / 2 };
}

function fitsNumber(value: number, { min, max }: NumberRange, step: number | null): boolean {
  if (value < min || value > max) return false;
  if (step === null || step === 0) return true;
  const steps = value / step;
  return Math.abs(steps - Math.round(steps)) < 1e-9;
}

function toNearest(value: number, { min, max }: NumberRange): number {
  return Math.min(Math.max(value, min), max);
}

function toMultiple(range: NumberRange, step: number): number {
  if (range.min > -Infinity) return Math.ceil(range.min / step - 1e-9) * step;
  return Math.floor(Math.min(range.max, step) / step + 1e-9) * step;
}

function makeBoolean(schema: JsonRecord, { hints, name }: ValueContext): boolean {
  const named = hints.named(name)?.toLowerCase();
  if (named !== undefined) return !/^(false|no|off|0)$/.test(named);
  return typeof schema.default === 'boolean' ? schema.default : true;
}

export function toNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function toCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : null;
}
