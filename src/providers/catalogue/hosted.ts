/** Providers that speak OpenAI's protocol: a line each. */

import { embeds, HOSTED_QUIRKS, type Parameter, type ProviderEntry, row } from './entry.ts';

const ACCOUNT = (variable: string): Parameter => ({
  name: 'account-id',
  variables: [variable],
  kind: 'identity',
  isLabel: true,
});

export const HOSTED: readonly ProviderEntry[] = Object.freeze([
  row('groq', 'Groq', 'https://api.groq.com/openai/v1', ['GROQ_API_KEY']),
  row('deepseek', 'DeepSeek', 'https://api.deepseek.com', ['DEEPSEEK_API_KEY'], {
    quirks: { ...HOSTED_QUIRKS, jsonObjectOnly: true, noImages: true },
  }),
  row('xai', 'xAI', 'https://api.x.ai/v1', ['XAI_API_KEY']),
  row(
    'perplexity',
    'Perplexity',
    'https://api.perplexity.ai',
    ['PERPLEXITYAI_API_KEY', 'PERPLEXITY_API_KEY'],
    {
      listsModels: false,
      quirks: { ...HOSTED_QUIRKS, noStreamOptions: true, noStop: true, noTools: true },
    },
  ),
  row('openrouter', 'OpenRouter', 'https://openrouter.ai/api/v1', ['OPENROUTER_API_KEY', 'OR_API_KEY']),
  row(
    'together_ai',
    'Together AI',
    'https://api.together.ai/v1',
    ['TOGETHERAI_API_KEY', 'TOGETHER_API_KEY', 'TOGETHER_AI_API_KEY'],
    {
      aliases: ['together'],
      hosts: ['api.together.xyz'],
      embedding: embeds('BAAI/bge-base-en-v1.5', 768),
    },
  ),
  row(
    'fireworks_ai',
    'Fireworks AI',
    'https://api.fireworks.ai/inference/v1',
    ['FIREWORKS_API_KEY', 'FIREWORKS_AI_API_KEY', 'FIREWORKSAI_API_KEY'],
    {
      aliases: ['fireworks'],
      embedding: embeds('nomic-ai/nomic-embed-text-v1.5', 768),
    },
  ),
  row('deepinfra', 'DeepInfra', 'https://api.deepinfra.com/v1/openai', ['DEEPINFRA_API_KEY'], {
    embedding: embeds('BAAI/bge-m3', 1024),
  }),
  row('cerebras', 'Cerebras', 'https://api.cerebras.ai/v1', ['CEREBRAS_API_KEY'], {
    quirks: { noDeveloperRole: true, maxTokensName: 'max_completion_tokens' },
  }),
  row('sambanova', 'SambaNova', 'https://api.sambanova.ai/v1', ['SAMBANOVA_API_KEY'], {
    embedding: embeds('E5-Mistral-7B-Instruct', 4096),
  }),
  row(
    'nvidia_nim',
    'NVIDIA NIM',
    'https://integrate.api.nvidia.com/v1',
    ['NVIDIA_NIM_API_KEY', 'NVIDIA_API_KEY'],
    {
      baseUrlVariables: ['NVIDIA_NIM_API_BASE'],
      quirks: { ...HOSTED_QUIRKS, embeddingFields: { input_type: 'passage' } },
      embedding: embeds('nvidia/nv-embedqa-e5-v5', 1024),
    },
  ),
  row('huggingface', 'Hugging Face', 'https://router.huggingface.co/v1', ['HUGGINGFACE_API_KEY', 'HF_TOKEN']),
  row('databricks', 'Databricks', null, ['DATABRICKS_API_KEY', 'DATABRICKS_TOKEN'], {
    hosts: [
      '{workspace}.cloud.databricks.com',
      '{workspace}.{shard}.azuredatabricks.net',
      '{workspace}.{shard}.gcp.databricks.com',
    ],
    baseUrlVariables: ['DATABRICKS_API_BASE'],
    listsModels: false,
    embedding: embeds('databricks-gte-large-en', 1024),
  }),
  row(
    'snowflake',
    'Snowflake Cortex',
    'https://{account-id}.snowflakecomputing.com/api/v2/cortex/v1',
    ['SNOWFLAKE_JWT', 'SNOWFLAKE_PAT'],
    {
      parameters: [ACCOUNT('SNOWFLAKE_ACCOUNT_ID')],
      listsModels: false,
      embedding: embeds('snowflake-arctic-embed-l-v2.0', 1024),
    },
  ),
  row(
    'cloudflare',
    'Cloudflare Workers AI',
    'https://api.cloudflare.com/client/v4/accounts/{account-id}/ai/v1',
    ['CLOUDFLARE_API_KEY', 'CLOUDFLARE_API_TOKEN'],
    {
      parameters: [ACCOUNT('CLOUDFLARE_ACCOUNT_ID')],
      listsModels: false,
      embedding: embeds('@cf/baai/bge-m3', 1024),
    },
  ),
  row('moonshot', 'Moonshot AI', 'https://api.moonshot.ai/v1', ['MOONSHOT_API_KEY'], {
    hosts: ['api.moonshot.cn'],
    baseUrlVariables: ['MOONSHOT_API_BASE'],
    quirks: { ...HOSTED_QUIRKS, jsonObjectOnly: true },
  }),
  row(
    'dashscope',
    'Alibaba Model Studio',
    'https://dashscope.aliyuncs.com/compatible-mode/v1',
    ['DASHSCOPE_API_KEY'],
    {
      hosts: ['dashscope-intl.aliyuncs.com', 'dashscope-us.aliyuncs.com'],
      baseUrlVariables: ['DASHSCOPE_API_BASE'],
      quirks: { ...HOSTED_QUIRKS, embeddingTextsMax: 10 },
      embedding: embeds('text-embedding-v4', 1024),
    },
  ),
  row('zai', 'Z.AI', 'https://api.z.ai/api/paas/v4', ['ZAI_API_KEY'], {
    hosts: ['open.bigmodel.cn'],
    quirks: { ...HOSTED_QUIRKS, jsonObjectOnly: true },
    embedding: embeds('embedding-3', 2048),
  }),
  row('minimax', 'MiniMax', 'https://api.minimax.io/v1', ['MINIMAX_API_KEY'], {
    hosts: ['api.minimaxi.com'],
  }),
  row(
    'volcengine',
    'Volcengine Ark',
    'https://ark.cn-beijing.volces.com/api/v3',
    ['VOLCENGINE_API_KEY', 'ARK_API_KEY'],
    {
      embedding: embeds('doubao-embedding-large-text-240915'),
    },
  ),
  row('ai21', 'AI21', 'https://api.ai21.com/studio/v1', ['AI21_API_KEY'], { aliases: ['ai21_chat'] }),
  row('github', 'GitHub Models', 'https://models.inference.ai.azure.com', ['GITHUB_API_KEY'], {
    hosts: ['models.github.ai'],
    embedding: embeds('text-embedding-3-small', 1536),
  }),
  row('meta_llama', 'Meta Llama API', 'https://api.llama.com/compat/v1', ['LLAMA_API_KEY']),
  row('nebius', 'Nebius', 'https://api.studio.nebius.ai/v1', ['NEBIUS_API_KEY'], {
    hosts: ['api.studio.nebius.com', 'api.tokenfactory.nebius.com'],
    embedding: embeds('BAAI/bge-en-icl', 4096),
  }),
  row('novita', 'Novita AI', 'https://api.novita.ai/v3/openai', ['NOVITA_API_KEY'], {
    embedding: embeds('baai/bge-m3', 1024),
  }),
  row('hyperbolic', 'Hyperbolic', 'https://api.hyperbolic.xyz/v1', ['HYPERBOLIC_API_KEY']),
  row('lambda_ai', 'Lambda', 'https://api.lambda.ai/v1', ['LAMBDA_API_KEY']),
  row('baseten', 'Baseten', 'https://inference.baseten.co/v1', ['BASETEN_API_KEY']),
  row('friendliai', 'FriendliAI', 'https://api.friendli.ai/serverless/v1', [
    'FRIENDLI_TOKEN',
    'FRIENDLIAI_API_KEY',
  ]),
  row('featherless_ai', 'Featherless', 'https://api.featherless.ai/v1', ['FEATHERLESS_AI_API_KEY']),
  row('nscale', 'Nscale', 'https://inference.api.nscale.com/v1', ['NSCALE_API_KEY']),
  row('scaleway', 'Scaleway', 'https://api.scaleway.ai/v1', ['SCW_SECRET_KEY'], {
    embedding: embeds('bge-multilingual-gemma2', 3584),
  }),
  row(
    'ovhcloud',
    'OVHcloud AI Endpoints',
    'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1',
    ['OVHCLOUD_API_KEY'],
    {
      embedding: embeds('bge-m3', 1024),
    },
  ),
  row('gradient_ai', 'DigitalOcean Gradient', 'https://inference.do-ai.run/v1', ['GRADIENT_AI_API_KEY']),
  row('heroku', 'Heroku', 'https://us.inference.heroku.com/v1', ['HEROKU_API_KEY'], {
    hosts: ['{region}.inference.heroku.com'],
    baseUrlVariables: ['HEROKU_API_BASE'],
  }),
  row('crusoe', 'Crusoe', 'https://managed-inference-api-proxy.crusoecloud.com/v1', ['CRUSOE_API_KEY']),
  row('wandb', 'Weights & Biases', 'https://api.inference.wandb.ai/v1', ['WANDB_API_KEY']),
  row(
    'vercel_ai_gateway',
    'Vercel AI Gateway',
    'https://ai-gateway.vercel.sh/v1',
    ['VERCEL_AI_GATEWAY_API_KEY', 'AI_GATEWAY_API_KEY'],
    {
      embedding: embeds('openai/text-embedding-3-small', 1536),
    },
  ),
  row('v0', 'v0', 'https://api.v0.dev/v1', ['V0_API_KEY'], { listsModels: false }),
  row('morph', 'Morph', 'https://api.morphllm.com/v1', ['MORPH_API_KEY']),
  row('inception', 'Inception', 'https://api.inceptionlabs.ai/v1', ['INCEPTION_API_KEY']),
  row('modelscope', 'ModelScope', 'https://api-inference.modelscope.cn/v1', ['MODELSCOPE_API_KEY']),
  row('aiml', 'AI/ML API', 'https://api.aimlapi.com/v1', ['AIML_API_KEY'], {
    embedding: embeds('text-embedding-3-small', 1536),
  }),
  row('cometapi', 'CometAPI', 'https://api.cometapi.com/v1', ['COMETAPI_KEY', 'COMETAPI_API_KEY'], {
    embedding: embeds('text-embedding-3-small', 1536),
  }),
  row('aihubmix', 'AiHubMix', 'https://aihubmix.com/v1', ['AIHUBMIX_API_KEY'], {
    embedding: embeds('text-embedding-3-small', 1536),
  }),
  row('veniceai', 'Venice', 'https://api.venice.ai/api/v1', ['VENICE_AI_API_KEY', 'VENICEAI_API_KEY']),
  row('chutes', 'Chutes', 'https://llm.chutes.ai/v1', ['CHUTES_API_KEY']),
  row('poe', 'Poe', 'https://api.poe.com/v1', ['POE_API_KEY']),
  row('synthetic', 'Synthetic', 'https://api.synthetic.new/openai/v1', ['SYNTHETIC_API_KEY']),
  row('jina_ai', 'Jina AI', 'https://api.jina.ai/v1', ['JINA_AI_API_KEY', 'JINA_API_KEY'], {
    listsModels: false,
    quirks: { ...HOSTED_QUIRKS, noEmbeddingFormat: true },
    embedding: embeds('jina-embeddings-v3', 1024),
  }),
]);
