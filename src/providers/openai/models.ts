/** The list of models, as OpenAI, Ollama, vLLM, LM Studio, llama.cpp, Together and others write it. */

import { parseJson, toList, toRecord, toText } from '../json-values.ts';
import { type ModelInfo, ProviderError } from '../provider.ts';

export const MODELS_BYTES_MAX = 16 * 1024 * 1024;
/** Aggregators list thousands; nobody lists more than this. */
export const MODELS_MAX = 20_000;

/** Throws `ProviderError` (`protocol`) where the text is no list at all. */
export function toModelInfos(text: string): readonly ModelInfo[] {
  const document = parseJson(text);
  const record = toRecord(document);
  // Ollama without a model writes `"data": null`.
  const isList = Array.isArray(document) || (record !== null && ('data' in record || 'models' in record));
  if (!isList) throw new ProviderError('protocol', "The model's server answered with no list of models.");
  const entries = Array.isArray(document) ? document : toList(record?.data ?? record?.models);
  const infos: ModelInfo[] = [];
  for (const entry of entries.slice(0, MODELS_MAX)) {
    const info = toModelInfo(entry);
    if (info !== null) infos.push(info);
  }
  return infos;
}

function toModelInfo(entry: unknown): ModelInfo | null {
  const model = toRecord(entry) ?? {};
  const id = toText(entry) ?? toText(model.id) ?? toText(model.model) ?? toText(model.name);
  if (id === null) return null;
  const created = model.created;
  return {
    id,
    created: typeof created === 'number' && Number.isFinite(created) && created > 0 ? Math.floor(created) : 0,
    ownedBy: toText(model.owned_by) ?? toText(model.publisher) ?? toText(model.organization) ?? 'unknown',
  };
}
