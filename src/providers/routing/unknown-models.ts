/** What is said where nobody can answer: nothing is configured, or a name is nobody's. */

import { ApiError } from '../../errors.ts';
import { findClosest } from '../../suggestion.ts';
import { CATALOGUE } from '../catalogue/catalogue.ts';
import { ProviderError } from '../provider.ts';
import { splitPrefix } from './model-names.ts';
import type { ModelSettings } from './provider-settings.ts';

export const NOT_CONFIGURED =
  'No language model is configured. Set OPENAI_API_KEY, or OPENAI_BASE_URL for another server that speaks the ' +
  'same protocol, and start again; or start Ollama, LM Studio, llama.cpp or vLLM on this machine first; or send a ' +
  `key as 'authorization'. To try things out, use the model 'understudy/rehearsal', which needs none of these.`;

/** 400: `custom-llm-provider` names nobody. */
export function refuseCustom(custom: string, settings: ModelSettings): never {
  const closest = findClosest(custom, toPrefixes(settings));
  const hint = closest === null ? '' : ` Did you mean '${closest}'?`;
  throw ApiError.invalidValue(
    'custom-llm-provider',
    `Invalid header 'custom-llm-provider': there is no provider '${custom.slice(0, 100)}'.${hint}`,
  );
}

function toPrefixes(settings: ModelSettings): readonly string[] {
  return [...settings.providers.keys(), ...CATALOGUE.flatMap(({ id, aliases }) => [id, ...aliases])];
}

/** Names that are told of a mistyped one. */
const NEAR_MAX = 3;

/** The few names that a mistyped one may have meant, the nearest first. */
export function findNear(
  name: string,
  settings: ModelSettings,
  localNames: ReadonlySet<string>,
): readonly string[] {
  const near: string[] = [];
  const known = new Set([...settings.aliases.keys(), ...localNames]);
  const models = [...settings.providers].flatMap(([id, given]) =>
    given.models.map((model) => `${id}/${model}`),
  );
  for (const model of models) known.add(model);
  const split = splitPrefix(name);
  for (const prefix of split === null ? [] : toPrefixes(settings))
    known.add(`${prefix}/${split?.rest ?? ''}`);
  for (let left = NEAR_MAX; left > 0; left -= 1) {
    const closest = findClosest(name, [...known]);
    if (closest === null) break;
    known.delete(closest);
    near.push(closest);
  }
  return near;
}

/** 404: nobody takes the name. */
export function createUnknownModel(name: string, near: readonly string[]): ProviderError {
  const shown = name.slice(0, 200);
  const hint =
    near.length === 0
      ? " Names are like 'groq/llama-3.3-70b-versatile': the provider, a slash, and the name that it has there."
      : ` Did you mean ${near.map((one) => `'${one}'`).join(' or ')}?`;
  return new ProviderError(
    'model_not_found',
    `The model '${shown}' does not exist: no provider that is configured takes the name.${hint}`,
    { status: 404, code: 'model_not_found', param: 'model' },
  );
}
