import { describe, expect, test } from 'bun:test';
import { FormatRegistry, type TSchema, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { createHints } from '../../src/providers/rehearsal/hints.ts';
import { sampleCandidates } from '../../src/providers/rehearsal/pattern-samples.ts';
import { makeValue } from '../../src/providers/rehearsal/schema-values.ts';

FormatRegistry.Set('date', (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)));
FormatRegistry.Set('date-time', (text) => /T/.test(text) && !Number.isNaN(Date.parse(text)));
FormatRegistry.Set('email', (text) => /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(text));
FormatRegistry.Set('uri', (text) => URL.canParse(text));
FormatRegistry.Set('uuid', (text) => /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text));

const MESSAGES = [
  '',
  'Hello',
  'Book a table for 4 in "Zürich" at 19:30 on 2026-05-01, e-mail me at a.b@example.org, true or not, -3.5 degrees',
  'in in in for for of of to to',
  '1 2 3 100000 -7 0.25',
  'a'.repeat(5000),
  'state: open, count=12, name: "Ann", flag: no',
];

/** Schemas as programs write them, each as the library's own type, which then judges the values. */
const SCHEMAS: Record<string, TSchema> = {
  text: Type.String(),
  'bounded text': Type.String({ minLength: 3, maxLength: 5 }),
  'long text': Type.String({ minLength: 400 }),
  'one character': Type.String({ maxLength: 1 }),
  'no characters': Type.String({ maxLength: 0 }),
  date: Type.String({ format: 'date' }),
  'date and time': Type.String({ format: 'date-time' }),
  email: Type.String({ format: 'email' }),
  uri: Type.String({ format: 'uri' }),
  uuid: Type.String({ format: 'uuid' }),
  'airport code': Type.String({ pattern: '^[A-Z]{3}$' }),
  'phone number': Type.String({ pattern: '^\\+?[1-9]\\d{6,14}$' }),
  'order number': Type.String({ pattern: '^(ORD|INV)-\\d{4,}(-[a-z]+)?$' }),
  'nested quantifiers': Type.String({ pattern: '^([a-z]+,?)+$' }),
  integer: Type.Integer(),
  'small integer': Type.Integer({ minimum: 1, maximum: 5 }),
  'negative integer': Type.Integer({ maximum: -10 }),
  'exclusive integer': Type.Integer({ exclusiveMinimum: 5, exclusiveMaximum: 7 }),
  'multiple of 25': Type.Integer({ minimum: 60, multipleOf: 25 }),
  number: Type.Number({ minimum: 0.5, maximum: 0.75 }),
  'exclusive number': Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 0.5 }),
  boolean: Type.Boolean(),
  nothing: Type.Null(),
  constant: Type.Literal('fixed'),
  choice: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
  'text or nothing': Type.Union([Type.Null(), Type.String({ minLength: 1 })]),
  'list of texts': Type.Array(Type.String()),
  'three numbers': Type.Array(Type.Number(), { minItems: 3, maxItems: 3 }),
  'distinct numbers': Type.Array(Type.Integer(), { minItems: 4, uniqueItems: true }),
  'distinct texts': Type.Array(Type.String({ maxLength: 6 }), { minItems: 3, uniqueItems: true }),
  'empty list': Type.Array(Type.String(), { maxItems: 0 }),
  pair: Type.Tuple([Type.String(), Type.Integer()]),
  'list of lists': Type.Array(Type.Array(Type.Array(Type.Integer({ minimum: 3 }), { minItems: 2 }))),
  object: Type.Object({
    name: Type.String({ minLength: 1 }),
    count: Type.Integer({ minimum: 0 }),
    flag: Type.Boolean(),
    state: Type.Optional(Type.Union([Type.Literal('open'), Type.Literal('closed')])),
    inner: Type.Object({ when: Type.String({ format: 'date' }), tags: Type.Array(Type.String()) }),
  }),
  'closed object': Type.Object({ a: Type.String() }, { additionalProperties: false }),
  'object with a least size': Type.Record(Type.String(), Type.Integer(), { minProperties: 2 }),
  'both of two': Type.Intersect([
    Type.Object({ a: Type.String() }),
    Type.Object({ b: Type.Integer({ minimum: 7 }) }),
  ]),
  tree: Type.Recursive((This) => Type.Object({ value: Type.Integer(), children: Type.Array(This) })),
};

describe('values made for a schema', () => {
  test.each(Object.keys(SCHEMAS))('satisfy it, whatever the message says: %s', (name) => {
    const schema = SCHEMAS[name] ?? Type.Never();
    const plain = toPlainJson(schema);
    for (const message of MESSAGES) {
      const value = makeValue(plain, createHints(message));
      const errors = [...Value.Errors(schema, value)].map(({ path, message: text }) => `${path}: ${text}`);
      expect(errors).toEqual([]);
      // Arguments travel as JSON.
      expect(JSON.parse(JSON.stringify(value))).toEqual(value as never);
    }
  });

  test('satisfy a strict schema with references, definitions and enums, as SDKs write them', () => {
    const schema = {
      type: 'object',
      $defs: {
        unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
        place: {
          type: 'object',
          properties: { city: { type: 'string' }, unit: { $ref: '#/$defs/unit' } },
          required: ['city', 'unit'],
          additionalProperties: false,
        },
      },
      properties: {
        places: { type: 'array', items: { $ref: '#/$defs/place' }, minItems: 1 },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        limit: { type: ['integer', 'null'], minimum: 10 },
      },
      required: ['places', 'note', 'limit'],
      additionalProperties: false,
    };
    expect(makeValue(schema, createHints('Compare in fahrenheit for "Oslo" with 12 of them'))).toEqual({
      places: [{ city: 'Oslo', unit: 'fahrenheit' }],
      note: 'fahrenheit',
      limit: 12,
    });
  });

  test('hand out phrases and numbers one after the other', () => {
    const schema = {
      type: 'object',
      properties: {
        from: { type: 'string' },
        to: { type: 'string' },
        adults: { type: 'integer' },
        bags: { type: 'integer' },
      },
      required: ['from', 'to', 'adults', 'bags'],
    };
    const hints = createHints('Fly from Rome to Oslo with 2 people and 3 suitcases');
    expect(makeValue(schema, hints)).toEqual({ from: 'Rome', to: 'Oslo', adults: 2, bags: 3 });
  });

  test('fill optional properties only where the message speaks of them', () => {
    const schema = {
      type: 'object',
      properties: {
        query: { type: 'string' },
        sort: { type: 'string', enum: ['newest', 'oldest'] },
        limit: { type: 'integer' },
        exact: { type: 'boolean' },
      },
      required: ['query'],
    };
    expect(makeValue(schema, createHints('look for "shoes"'))).toEqual({ query: 'shoes' });
    expect(makeValue(schema, createHints('look for "shoes", oldest first, limit: 5, exact=no'))).toEqual({
      query: 'shoes',
      sort: 'oldest',
      limit: 5,
      exact: false,
    });
  });

  test('come to an end for schemas that demand themselves for ever', () => {
    const schema = {
      $ref: '#/$defs/node',
      $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } }, required: ['next'] } },
    };
    expect(JSON.stringify(makeValue(schema, createHints('x'))).length).toBeLessThan(10_000);
    const wide = { type: 'array', items: { $ref: '#' }, minItems: 2 };
    expect(JSON.stringify(makeValue(wide, createHints('x'))).length).toBeLessThan(5_000_000);
    expect(makeValue({ $ref: '#' }, createHints('x'))).toBeDefined();
  });

  test('come for odd schemas too', () => {
    const odd = [undefined, null, true, [], 'x', 7, {}, { type: 'strange' }, { type: [] }];
    const wrong = [
      { required: [1, null] },
      { properties: 7 },
      { enum: [] },
      { items: 3 },
      { $ref: 7 },
      { allOf: [1] },
    ];
    for (const schema of [...odd, ...wrong, { $ref: '#/nowhere/0' }, { pattern: '(' }, { anyOf: [] }]) {
      expect(() => makeValue(schema, createHints('Hello'))).not.toThrow();
    }
  });

  test('do not hang on patterns and messages that are made to', () => {
    const evil = ['^(a+)+$', '^(a|a)*$', 'a*a*a*a*a*a*a*a*b', '(.*a){20}'];
    const startedMs = performance.now();
    for (const pattern of evil) makeValue({ type: 'string', pattern }, createHints(`${'a'.repeat(100)}!`));
    createHints('in '.repeat(7000)).takePhrase(() => true);
    createHints('"'.repeat(20_000)).takePhrase(() => true);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

describe('a text for a pattern', () => {
  test.each([
    '^[A-Z]{2}\\d{3}$',
    '^(?:foo|bar)-[^0-9]+$',
    '^\\d{3}-\\d{2}-\\d{4}$',
    '^#?[0-9a-fA-F]{6}$',
    '^[\\w.+-]+@[\\w-]+\\.[a-z]{2,}$',
    '^(\\+\\d{1,3})?\\s?\\(?\\d{3}\\)?$',
    '^v\\d+\\.\\d+\\.\\d+$',
    '^$',
    '^[^\\s]{1,10}$',
    '^\\/[a-z]+\\/$',
  ])('matches %p', (source) => {
    expect(sampleCandidates(source)[0]).toMatch(new RegExp(source, 'u'));
  });
});

/** The schema as it comes over the wire: without the library's own marks. */
function toPlainJson(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema));
}
