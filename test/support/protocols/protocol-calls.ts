/** Every provider with a protocol of its own, aimed at the scripted server, with the credentials that it would have. */

import { systemClock } from '../../../src/clock.ts';
import { createIds } from '../../../src/ids.ts';
import type { AiSdkProviderId } from '../../../src/providers/ai-sdk/protocol.ts';
import { createAiSdkProviders } from '../../../src/providers/ai-sdk/providers.ts';
import { createUpstream, type UpstreamTimeouts } from '../../../src/providers/outbound/upstream.ts';
import type { CallOptions, Credentials, Provider } from '../../../src/providers/provider.ts';
import { QUICK_RETRIES } from '../provider-calls.ts';

export type ProtocolProviders = Readonly<Record<AiSdkProviderId, Provider>>;

/** Those that can chat. */
export const CHAT_PROTOCOLS = ['anthropic', 'gemini', 'vertex', 'bedrock', 'cohere', 'mistral'] as const;
export type ChatProtocolId = (typeof CHAT_PROTOCOLS)[number];

export const AWS_KEYS = Object.freeze({
  id: 'AKIAIOSFODNN7EXAMPLE',
  secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
});

export function createProtocolProviders(
  options: {
    timeouts?: Partial<UpstreamTimeouts>;
    googleTokenUrl?: string;
    retryAfterMaxMs?: number;
    onRetry?: (fields: unknown) => void;
  } = {},
): ProtocolProviders {
  const retryAfterMaxMs = options.retryAfterMaxMs ?? QUICK_RETRIES.retryAfterMaxMs;
  return createAiSdkProviders({
    upstream: createUpstream({
      fetch,
      timeouts: { connectMs: 5_000, firstByteMs: 5_000, idleMs: 5_000, ...options.timeouts },
    }),
    clock: systemClock,
    ids: createIds(systemClock),
    retryPolicy: { ...QUICK_RETRIES, retryAfterMaxMs },
    ...(options.googleTokenUrl === undefined ? {} : { googleTokenUrl: options.googleTokenUrl }),
  });
}

/** The key is the protocol's own, so that it can be told whose went where. */
export function toKey(id: AiSdkProviderId): string {
  return `key-of-${id}-0123456789abcdef`;
}

/** Vertex by an express key, Bedrock by access keys. */
export function toProtocolCredentials(
  id: AiSdkProviderId,
  origin: string,
  changes: Partial<Credentials> = {},
): Credentials {
  const bedrock = {
    'aws-access-key-id': AWS_KEYS.id,
    'aws-secret-access-key': AWS_KEYS.secret,
    'aws-region-name': 'eu-central-1',
  };
  return {
    apiKey: id === 'bedrock' ? null : toKey(id),
    baseUrl: origin,
    fromRequest: false,
    ...(id === 'bedrock' ? { parameters: bedrock } : {}),
    ...changes,
  };
}

export function toProtocolCall(
  id: AiSdkProviderId,
  origin: string,
  changes: Partial<Credentials> = {},
  signal: AbortSignal = new AbortController().signal,
): CallOptions {
  return { credentials: toProtocolCredentials(id, origin, changes), signal, requestId: 'req_test' };
}
