/** Which language models the configuration leads to, and whether there is a key; never the key itself. */

import type { Config } from '../config/config.ts';
import { isUsable } from '../config/usable-providers.ts';
import type { ProviderSettings } from '../providers/routing/provider-settings.ts';
import type { Finding } from './finding.ts';

const PART = 'provider';
const ANSWER_MS = 5_000;
/** Hosts that are asked side by side. */
const ASKED_MAX = 200;

/** The part of `fetch` that is used. */
export type AskHost = (url: string, init: { signal: AbortSignal; redirect: 'manual' }) => Promise<Response>;

export async function checkProviders(
  { models }: Pick<Config, 'models'>,
  ask: AskHost | null,
): Promise<readonly Finding[]> {
  const providers = [...models.providers.values()].slice(0, ASKED_MAX);
  if (providers.length === 0) {
    return [
      {
        part: PART,
        isGood: true,
        text: 'none is set up: requests bring their keys, or ask understudy/rehearsal',
      },
    ];
  }
  return await Promise.all(providers.map((provider) => checkProvider(provider, ask)));
}

async function checkProvider(provider: ProviderSettings, ask: AskHost | null): Promise<Finding> {
  const { entry } = provider;
  const known = `${entry.name} (${entry.id}): ${toKeyText(provider)}`;
  const origin = toOrigin(provider);
  if (ask === null) return { part: PART, isGood: true, text: known };
  if (origin === null)
    return { part: PART, isGood: true, text: `${known}; where it is depends on the request` };
  const fault = await findFault(origin, ask);
  const text = `${known}; ${origin} ${fault === null ? 'answers' : `does not answer: ${fault}`}`;
  return { part: PART, isGood: fault === null, text };
}

function toKeyText(provider: ProviderSettings): string {
  const { entry, apiKey } = provider;
  if (apiKey !== null) return 'with a key';
  if (isUsable(provider))
    return entry.isKeyOptional ? 'no key, and none is needed' : 'with what authorises it';
  return "no key: a request's own is needed";
}

/** Null where the address has parts that are filled in later. */
function toOrigin({ entry, baseUrl }: ProviderSettings): string | null {
  const url = baseUrl ?? entry.baseUrl;
  return url === null || url.includes('{') || !URL.canParse(url) ? null : new URL(url).origin;
}

/** Any answer will do: without a key, most are refusals. */
async function findFault(origin: string, ask: AskHost): Promise<string | null> {
  try {
    const response = await ask(origin, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' });
    await response.body?.cancel();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
