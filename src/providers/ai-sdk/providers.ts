/** The providers with protocols of their own. Their packages are loaded when they are first asked. */

import type { Provider } from '../provider.ts';
import { createAiSdkProvider } from './ai-sdk-provider.ts';
import { anthropicProtocol } from './anthropic.ts';
import { bedrockProtocol } from './bedrock.ts';
import { cohereProtocol } from './cohere.ts';
import { geminiProtocol } from './gemini.ts';
import { createGoogleTokens } from './google-token.ts';
import { mistralProtocol } from './mistral.ts';
import type { AiSdkProviderOptions } from './open-access.ts';
import type { AiSdkProviderId } from './protocol.ts';
import { createVertexProtocol } from './vertex.ts';
import { voyageProtocol } from './voyage.ts';

export interface AiSdkDeps extends AiSdkProviderOptions {
  /** Where Google gives out access tokens; Google's own unless said otherwise. */
  readonly googleTokenUrl?: string;
}

export function createAiSdkProviders(deps: AiSdkDeps): Readonly<Record<AiSdkProviderId, Provider>> {
  const tokens = createGoogleTokens({
    upstream: deps.upstream,
    clock: deps.clock,
    ...(deps.googleTokenUrl === undefined ? {} : { tokenUrl: deps.googleTokenUrl }),
  });
  return Object.freeze({
    anthropic: createAiSdkProvider(anthropicProtocol, deps),
    gemini: createAiSdkProvider(geminiProtocol, deps),
    vertex: createAiSdkProvider(createVertexProtocol(tokens), deps),
    bedrock: createAiSdkProvider(bedrockProtocol, deps),
    cohere: createAiSdkProvider(cohereProtocol, deps),
    mistral: createAiSdkProvider(mistralProtocol, deps),
    voyage: createAiSdkProvider(voyageProtocol, deps),
  });
}
