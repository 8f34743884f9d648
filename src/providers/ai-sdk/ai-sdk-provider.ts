/** The provider port over a protocol and the package that speaks it. */

import type { Provider } from '../provider.ts';
import { chat, relayChat } from './chat.ts';
import { relayEmbeddings } from './embeddings.ts';
import { type AiSdkProviderOptions, openAccess, type ProviderParts } from './open-access.ts';
import type { Protocol } from './protocol.ts';

export function createAiSdkProvider(protocol: Protocol, options: AiSdkProviderOptions): Provider {
  const { upstream, clock } = options;
  const parts: ProviderParts = { protocol, options, deps: { upstream, clock, provider: protocol.id } };
  return {
    id: protocol.id,
    chat: (request, call) => chat(parts, request, call),
    relay: (path, body, call) =>
      path === 'embeddings' ? relayEmbeddings(parts, body, call) : relayChat(parts, body, call),
    async listModels(call) {
      const { access } = await openAccess(parts, '', call);
      return await protocol.listModels(access);
    },
  };
}
