/** Which providers can be called by what the operator set alone. */

import type { ProviderSettings } from '../providers/routing/provider-settings.ts';

export function isUsable({ entry, apiKey, parameters }: ProviderSettings): boolean {
  if (entry.isKeyOptional) return true;
  return entry.keySets.some((names) =>
    names.every((name) => (name === 'api-key' ? apiKey !== null : name in parameters)),
  );
}
