/** The sections of the configuration file about providers and models: their shape. */

import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { HOST_PATTERN } from './settings.ts';

const TEXT_MAX = 4096;
const LIST_MAX = 1000;
const SECONDS_MAX = 86_400;
const CALLS_MAX = 100_000;

export const BASE_URL_TEXT =
  'a URL like http://127.0.0.1:8000/v1, without user name, password, query or fragment';

const Text = Type.String({ minLength: 1, maxLength: TEXT_MAX });
const ModelName = Type.String({ minLength: 1, maxLength: 512, description: 'the name of a model' });
const Variable = Type.String({
  pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
  maxLength: 256,
  description: 'the name of a variable',
});
const Seconds = Type.Number({
  minimum: 0.001,
  maximum: SECONDS_MAX,
  description: `a number of seconds up to ${SECONDS_MAX}`,
});
const Host = Type.String({
  pattern: HOST_PATTERN,
  maxLength: 300,
  description: 'a host, like models.example or 10.0.0.5:8000',
});

/** A value that stands in the file, or in a variable, or in a file of its own. */
const TextSource = Type.Union(
  [
    Text,
    Type.Object({ variable: Variable }, { additionalProperties: false }),
    Type.Object({ file: Text }, { additionalProperties: false }),
  ],
  { description: 'text, or {variable: NAME}, or {file: PATH}' },
);
export type ValueSource = Static<typeof TextSource>;

const PROTOCOLS = [
  'openai',
  'azure',
  'anthropic',
  'gemini',
  'vertex',
  'bedrock',
  'cohere',
  'mistral',
  'voyage',
  'watsonx',
] as const;

function toChoice<T extends string>(values: readonly T[]) {
  return Type.Union(
    values.map((value) => Type.Literal(value)),
    { description: `one of ${values.join(', ')}` },
  );
}

const Switch = Type.Boolean({ description: 'true or false' });

function object<P extends Record<string, TSchema>>(properties: P) {
  return Type.Object(properties, { additionalProperties: false, description: 'settings by name' });
}

export const ProviderSection = object({
  name: Type.Optional(Text),
  'base-url': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2048,
      description: BASE_URL_TEXT,
    }),
  ),
  protocol: Type.Optional(toChoice(PROTOCOLS)),
  'key-variable': Type.Optional(Variable),
  'key-file': Type.Optional(Text),
  'api-key': Type.Optional(Text),
  'key-optional': Type.Optional(Switch),
  auth: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z][A-Za-z0-9-]{0,63}$',
      description: "'bearer', or the name of the header that the key stands in",
    }),
  ),
  headers: Type.Optional(
    Type.Record(Type.String({ pattern: '^[A-Za-z0-9-]{1,100}$' }), TextSource, {
      additionalProperties: false,
      description: 'values by names of headers',
    }),
  ),
  parameters: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-z0-9-]{1,100}$' }), TextSource, {
      additionalProperties: false,
      description: 'values by names of parameters',
    }),
  ),
  timeouts: Type.Optional(
    object({
      'connect-seconds': Type.Optional(Seconds),
      'first-byte-seconds': Type.Optional(Seconds),
      'idle-seconds': Type.Optional(Seconds),
    }),
  ),
  limits: Type.Optional(
    object({
      'concurrent-calls': Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: CALLS_MAX,
          description: `a whole number from 1 to ${CALLS_MAX}`,
        }),
      ),
    }),
  ),
  'allowed-hosts': Type.Optional(Type.Array(Host, { maxItems: LIST_MAX, description: 'a list of hosts' })),
  models: Type.Optional(Type.Array(ModelName, { maxItems: LIST_MAX, description: 'a list of models' })),
  'embedding-model': Type.Optional(ModelName),
  quirks: Type.Optional(
    object({
      'no-stream-options': Type.Optional(Switch),
      'no-stop': Type.Optional(Switch),
      'no-tools': Type.Optional(Switch),
      'no-images': Type.Optional(Switch),
      'no-developer-role': Type.Optional(Switch),
      'json-object-only': Type.Optional(Switch),
      'no-embedding-format': Type.Optional(Switch),
      'max-tokens-name': Type.Optional(toChoice(['max_tokens', 'max_completion_tokens'] as const)),
    }),
  ),
});
export type ProviderSection = Static<typeof ProviderSection>;

const ModelList = Type.Union([ModelName, Type.Array(ModelName, { minItems: 1, maxItems: 8 })], {
  description: 'the name of a model, or a list of up to 8',
});

export const ModelSections = object({
  providers: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-z0-9][a-z0-9_.-]{0,63}$' }), ProviderSection, {
      additionalProperties: false,
      description: 'providers by name',
    }),
  ),
  aliases: Type.Optional(
    Type.Record(Type.String({ minLength: 1 }), ModelList, { description: 'models by name' }),
  ),
  fallbacks: Type.Optional(
    Type.Record(Type.String({ minLength: 1 }), ModelList, { description: 'models by name' }),
  ),
  'default-model': Type.Optional(ModelName),
  'allowed-models': Type.Optional(
    Type.Array(ModelName, { maxItems: LIST_MAX, description: 'a list of models' }),
  ),
});
export type ModelSections = Static<typeof ModelSections>;
