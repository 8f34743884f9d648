/** OpenAI itself, and the providers that are spoken to in another way. */

import { embeds, HOSTED_QUIRKS, type Parameter, type ProviderEntry, row } from './entry.ts';

const API_VERSION: Parameter = {
  name: 'api-version',
  variables: ['AZURE_API_VERSION', 'OPENAI_API_VERSION'],
  kind: 'plain',
};
const AZURE_AD_TOKEN: Parameter = { name: 'azure-ad-token', variables: ['AZURE_AD_TOKEN'], kind: 'secret' };

const AWS_PARAMETERS: readonly Parameter[] = [
  { name: 'aws-access-key-id', variables: ['AWS_ACCESS_KEY_ID'], kind: 'secret' },
  { name: 'aws-secret-access-key', variables: ['AWS_SECRET_ACCESS_KEY'], kind: 'secret' },
  { name: 'aws-session-token', variables: ['AWS_SESSION_TOKEN'], kind: 'secret' },
  {
    name: 'aws-region-name',
    variables: ['AWS_REGION_NAME', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
    kind: 'plain',
    fallback: 'us-east-1',
    isLabel: true,
  },
];

const VERTEX_PARAMETERS: readonly Parameter[] = [
  {
    name: 'vertex-project',
    variables: ['VERTEXAI_PROJECT', 'GOOGLE_VERTEX_PROJECT'],
    kind: 'identity',
    isLabel: true,
  },
  {
    name: 'vertex-location',
    variables: ['VERTEXAI_LOCATION', 'GOOGLE_VERTEX_LOCATION'],
    kind: 'plain',
    fallback: 'us-central1',
    isLabel: true,
  },
  {
    name: 'vertex-credentials',
    variables: ['VERTEXAI_CREDENTIALS'],
    kind: 'secret',
    fileVariable: 'GOOGLE_APPLICATION_CREDENTIALS',
  },
];

const WATSONX_PARAMETERS: readonly Parameter[] = [
  { name: 'project-id', variables: ['WATSONX_PROJECT_ID'], kind: 'identity' },
  { name: 'space-id', variables: ['WATSONX_DEPLOYMENT_SPACE_ID'], kind: 'identity' },
  { name: 'token', variables: ['WATSONX_TOKEN'], kind: 'secret' },
];

const OPENAI_PARAMETERS: readonly Parameter[] = [
  {
    name: 'organization',
    variables: ['OPENAI_ORG_ID', 'OPENAI_ORGANIZATION'],
    kind: 'identity',
    header: 'openai-organization',
  },
  { name: 'project', variables: ['OPENAI_PROJECT_ID'], kind: 'identity', header: 'openai-project' },
];

const WORD_IDS = { pattern: '^[A-Za-z0-9_-]{1,64}$', length: 24 };

export const OWN_PROTOCOLS: readonly ProviderEntry[] = Object.freeze([
  row('openai', 'OpenAI', 'https://api.openai.com/v1', ['OPENAI_API_KEY'], {
    aliases: ['text-completion-openai'],
    baseUrlVariables: ['OPENAI_BASE_URL'],
    hosts: ['{region}.api.openai.com'],
    parameters: OPENAI_PARAMETERS,
    quirks: { toolCallIds: { pattern: '^.{1,40}$', length: 24 }, embeddingTextsMax: 2048 },
    // What OpenAI's own vector stores used.
    embedding: { model: 'text-embedding-3-large', dimensions: 256, isAsked: true },
  }),
  row('azure', 'Azure OpenAI', null, ['AZURE_API_KEY', 'AZURE_OPENAI_API_KEY'], {
    aliases: ['azure_text'],
    protocol: 'azure',
    hosts: ['{resource}.openai.azure.com', '{resource}.cognitiveservices.azure.com'],
    baseUrlVariables: ['AZURE_API_BASE', 'AZURE_OPENAI_ENDPOINT'],
    auth: { header: 'api-key' },
    parameters: [API_VERSION, AZURE_AD_TOKEN],
    keySets: [['api-key'], ['azure-ad-token']],
    listsModels: false,
    quirks: { toolCallIds: { pattern: '^.{1,40}$', length: 24 }, embeddingTextsMax: 2048 },
  }),
  row('azure_ai', 'Azure AI Foundry', null, ['AZURE_AI_API_KEY'], {
    protocol: 'azure',
    hosts: ['{resource}.services.ai.azure.com', '{resource}.{region}.models.ai.azure.com'],
    baseUrlVariables: ['AZURE_AI_API_BASE'],
    auth: { header: 'api-key' },
    parameters: [{ name: 'api-version', variables: ['AZURE_AI_API_VERSION'], kind: 'plain' }, AZURE_AD_TOKEN],
    keySets: [['api-key'], ['azure-ad-token']],
    listsModels: false,
    embedding: embeds('embed-v-4-0', 1536),
  }),
  row('anthropic', 'Anthropic', 'https://api.anthropic.com/v1', ['ANTHROPIC_API_KEY'], {
    protocol: 'anthropic',
    version: '/v1',
    baseUrlVariables: ['ANTHROPIC_API_BASE', 'ANTHROPIC_BASE_URL'],
    auth: { header: 'x-api-key' },
    quirks: { toolCallIds: WORD_IDS },
  }),
  row(
    'gemini',
    'Google Gemini',
    'https://generativelanguage.googleapis.com/v1beta',
    ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    {
      protocol: 'gemini',
      version: '/v1beta',
      baseUrlVariables: ['GEMINI_API_BASE'],
      auth: { header: 'x-goog-api-key' },
      quirks: { embeddingTextsMax: 100 },
      embedding: embeds('gemini-embedding-001', 3072),
    },
  ),
  row('vertex_ai', 'Google Vertex AI', null, ['VERTEXAI_API_KEY', 'GOOGLE_VERTEX_API_KEY'], {
    aliases: ['vertex_ai_beta', 'vertex'],
    protocol: 'vertex',
    hosts: ['{location}-aiplatform.googleapis.com', 'aiplatform.googleapis.com'],
    auth: { header: 'x-goog-api-key' },
    parameters: VERTEX_PARAMETERS,
    keySets: [['api-key'], ['vertex-credentials']],
    listsModels: false,
    quirks: { embeddingTextsMax: 100 },
    embedding: embeds('gemini-embedding-001', 3072),
  }),
  row('bedrock', 'Amazon Bedrock', null, ['AWS_BEARER_TOKEN_BEDROCK'], {
    aliases: ['bedrock_converse'],
    protocol: 'bedrock',
    hosts: ['bedrock-runtime.{region}.amazonaws.com'],
    baseUrlVariables: ['AWS_BEDROCK_RUNTIME_ENDPOINT'],
    parameters: AWS_PARAMETERS,
    keySets: [['aws-access-key-id', 'aws-secret-access-key'], ['api-key']],
    modelPrefixes: ['converse/', 'invoke/', 'converse_like/'],
    listsModels: false,
    quirks: { toolCallIds: WORD_IDS, embeddingTextsMax: 1 },
    embedding: embeds('amazon.titan-embed-text-v2:0', 1024),
  }),
  row('cohere', 'Cohere', 'https://api.cohere.com/v2', ['COHERE_API_KEY', 'CO_API_KEY'], {
    aliases: ['cohere_chat'],
    protocol: 'cohere',
    version: '/v2',
    hosts: ['api.cohere.ai'],
    baseUrlVariables: ['COHERE_API_BASE'],
    quirks: { embeddingTextsMax: 96 },
    embedding: embeds('embed-v4.0', 1536),
  }),
  row('mistral', 'Mistral', 'https://api.mistral.ai/v1', ['MISTRAL_API_KEY'], {
    protocol: 'mistral',
    version: '/v1',
    baseUrlVariables: ['MISTRAL_API_BASE'],
    quirks: {
      ...HOSTED_QUIRKS,
      toolCallIds: { pattern: '^[A-Za-z0-9]{9}$', length: 9 },
      embeddingTextsMax: 32,
    },
    embedding: embeds('mistral-embed', 1024),
  }),
  row('codestral', 'Codestral', 'https://codestral.mistral.ai/v1', ['CODESTRAL_API_KEY'], {
    protocol: 'mistral',
    version: '/v1',
    quirks: { ...HOSTED_QUIRKS, toolCallIds: { pattern: '^[A-Za-z0-9]{9}$', length: 9 } },
  }),
  row(
    'watsonx',
    'IBM watsonx.ai',
    'https://us-south.ml.cloud.ibm.com',
    ['WATSONX_API_KEY', 'WATSONX_APIKEY'],
    {
      aliases: ['watsonx_text'],
      protocol: 'watsonx',
      hosts: ['{region}.ml.cloud.ibm.com'],
      baseUrlVariables: ['WATSONX_API_BASE', 'WATSONX_URL'],
      parameters: WATSONX_PARAMETERS,
      keySets: [['api-key'], ['token']],
      listsModels: false,
      embedding: embeds('ibm/slate-125m-english-rtrvr', 768),
    },
  ),
  row('voyage', 'Voyage AI', 'https://api.voyageai.com/v1', ['VOYAGE_API_KEY', 'VOYAGE_AI_API_KEY'], {
    protocol: 'voyage',
    version: '/v1',
    listsModels: false,
    quirks: { embeddingTextsMax: 128 },
    embedding: embeds('voyage-3.5', 1024),
  }),
]);
