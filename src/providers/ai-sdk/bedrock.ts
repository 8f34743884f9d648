/** Amazon Bedrock: Converse for chat, InvokeModel for embeddings; each call is signed by the package, or carries an API key. */

import type { AmazonBedrockProvider } from '@ai-sdk/amazon-bedrock';
import { PLAIN_CALL_IDS } from '../chat/call-ids.ts';
import { type Credentials, ProviderError } from '../provider.ts';
import { CLAUDE_RULES } from './anthropic.ts';
import type { Access, EmbeddingProtocol, EmbedRequest, PromptRules, Protocol } from './protocol.ts';

const COHERE_TEXTS_MAX = 96;

const CONVERSE_RULES: PromptRules = Object.freeze({
  optionsName: 'amazonBedrock',
  callIds: PLAIN_CALL_IDS,
  beginsWithUser: true,
  takesPictureUrls: false,
  takesBlankOutputs: false,
  needsToolsForHistory: true,
  knowsChoiceNone: false,
  signsThoughts: false,
  oneCallAtATime: null,
});

const CONVERSE_CLAUDE_RULES: PromptRules = Object.freeze({
  ...CONVERSE_RULES,
  signsThoughts: true,
  oneCallAtATime: CLAUDE_RULES.oneCallAtATime,
});

const embeddings: EmbeddingProtocol = {
  // Titan and Nova take one text a call.
  textsMax: (model) => (isCohere(model) ? COHERE_TEXTS_MAX : 1),
  async embed(request, access) {
    const bedrock = await loadProvider(access);
    const { embeddings: vectors, usage } = await bedrock.embeddingModel(access.model).doEmbed({
      values: [...request.texts],
      providerOptions: { amazonBedrock: toEmbeddingOptions(request, access.model) },
    });
    const tokens = usage?.tokens ?? 0;
    return { vectors, tokens: Number.isFinite(tokens) ? tokens : 0 };
  },
};

export const bedrockProtocol = Object.freeze<Protocol>({
  id: 'bedrock',
  name: 'Amazon Bedrock',

  async connect({ credentials }, model) {
    const region = toRegion(credentials, model);
    if (credentials.apiKey === null && !hasAccessKeys(credentials)) throw createMissingKeys();
    return {
      baseUrl: credentials.baseUrl ?? `https://bedrock-runtime.${region}.${toDnsSuffix(region)}`,
      // Access keys are never overruled by an API key: the operator's may be set beside a request's.
      headers: hasAccessKeys(credentials) ? null : { authorization: `Bearer ${credentials.apiKey}` },
    };
  },

  chat: {
    rules: (model) => (/anthropic|claude/.test(model) ? CONVERSE_CLAUDE_RULES : CONVERSE_RULES),
    loadModel: async (access) => (await loadProvider(access)).languageModel(access.model),
  },

  embeddings,

  // The list is the business of another service of Amazon's, with rights of its own.
  listModels: async () => [],
});

async function loadProvider({
  model,
  credentials,
  connection,
  fetch,
}: Access): Promise<AmazonBedrockProvider> {
  const { createAmazonBedrock } = await import('@ai-sdk/amazon-bedrock');
  const { parameters = {} } = credentials;
  return createAmazonBedrock({
    baseURL: connection.baseUrl,
    region: toRegion(credentials, model),
    // Empty, not absent: what is absent is read from the environment, and AWS_BEARER_TOKEN_BEDROCK would win over access keys.
    apiKey: connection.headers === null ? '' : 'put on in fetch',
    accessKeyId: parameters['aws-access-key-id'] ?? '',
    secretAccessKey: parameters['aws-secret-access-key'] ?? '',
    sessionToken: parameters['aws-session-token'] ?? '',
    fetch,
  });
}

function hasAccessKeys({ parameters = {} }: Credentials): boolean {
  return (parameters['aws-access-key-id'] ?? '') !== '' && (parameters['aws-secret-access-key'] ?? '') !== '';
}

/** The region is part of the host and of the signature. ARNs name their own. */
function toRegion({ baseUrl, parameters = {} }: Credentials, model: string): string {
  const ofModel = /^arn:aws[\w-]*:bedrock:([a-z0-9-]+):/.exec(model)?.[1];
  const ofHost = baseUrl === null ? undefined : /bedrock-runtime\.([a-z0-9-]+)\./.exec(baseUrl)?.[1];
  const region = ofHost ?? ofModel ?? (parameters['aws-region-name'] || DEFAULT_REGION);
  if (/^[a-z0-9-]+$/.test(region)) return region;
  throw new ProviderError('invalid_request', "'aws-region-name' is no region of Amazon's.", {
    status: 400,
    param: 'aws-region-name',
  });
}

const DEFAULT_REGION = 'us-east-1';

function toDnsSuffix(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
}

function isCohere(model: string): boolean {
  return model.includes('cohere.embed-');
}

function toEmbeddingOptions({ dimensions, inputKind }: EmbedRequest, model: string) {
  if (isCohere(model)) {
    return {
      inputType: inputKind === 'query' ? 'search_query' : 'search_document',
      ...(dimensions === null ? {} : { outputDimension: dimensions }),
    };
  }
  if (model.includes('amazon.nova-')) {
    return {
      embeddingPurpose: inputKind === 'query' ? 'TEXT_RETRIEVAL' : 'GENERIC_INDEX',
      ...(dimensions === null ? {} : { embeddingDimension: dimensions }),
    };
  }
  return dimensions === null ? {} : { dimensions };
}

function createMissingKeys(): ProviderError {
  return new ProviderError(
    'authentication',
    "Amazon Bedrock needs 'aws-access-key-id' and 'aws-secret-access-key', or an API key of Bedrock's.",
    { status: 401, param: 'aws-access-key-id' },
  );
}
