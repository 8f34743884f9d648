/** Servers that people run themselves: on this machine by default, or wherever their base URL says. */

import { embeds, type ProviderEntry, row } from './entry.ts';

const OPTIONAL = { isKeyOptional: true } as const;
/** Nothing is assumed of a server that runs who knows what. */
const ANY = { quirks: {} } as const;

export const SELF_HOSTED: readonly ProviderEntry[] = Object.freeze([
  row('ollama', 'Ollama', 'http://localhost:11434/v1', ['OLLAMA_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    aliases: ['ollama_chat'],
    version: '/v1',
    hosts: ['ollama.com'],
    baseUrlVariables: ['OLLAMA_API_BASE', 'OLLAMA_API_BASE_URL'],
    isLocal: true,
    embedding: embeds('nomic-embed-text', 768),
  }),
  row('lm_studio', 'LM Studio', 'http://localhost:1234/v1', ['LM_STUDIO_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    baseUrlVariables: ['LM_STUDIO_API_BASE'],
    isLocal: true,
    isGeneric: true,
    embedding: embeds('text-embedding-nomic-embed-text-v1.5', 768),
  }),
  row('llamafile', 'llama.cpp', 'http://127.0.0.1:8080/v1', ['LLAMAFILE_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    aliases: ['llama.cpp', 'llama_cpp'],
    version: '/v1',
    baseUrlVariables: ['LLAMAFILE_API_BASE'],
    isLocal: true,
    isGeneric: true,
  }),
  row('hosted_vllm', 'vLLM', 'http://localhost:8000/v1', ['HOSTED_VLLM_API_KEY', 'VLLM_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    aliases: ['vllm'],
    version: '/v1',
    baseUrlVariables: ['HOSTED_VLLM_API_BASE', 'VLLM_API_BASE'],
    isLocal: true,
    isGeneric: true,
  }),
  row('lemonade', 'Lemonade', 'http://localhost:8000/api/v1', ['LEMONADE_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    baseUrlVariables: ['LEMONADE_API_BASE'],
    isLocal: true,
    isGeneric: true,
  }),
  row(
    'docker_model_runner',
    'Docker Model Runner',
    'http://localhost:12434/engines/v1',
    ['DOCKER_MODEL_RUNNER_API_KEY'],
    {
      ...OPTIONAL,
      ...ANY,
      baseUrlVariables: ['DOCKER_MODEL_RUNNER_API_BASE'],
      isLocal: true,
      isGeneric: true,
    },
  ),
  row('xinference', 'Xinference', null, ['XINFERENCE_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    version: '/v1',
    baseUrlVariables: ['XINFERENCE_API_BASE'],
    isGeneric: true,
  }),
  row('infinity', 'Infinity', null, ['INFINITY_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    baseUrlVariables: ['INFINITY_API_BASE'],
    isGeneric: true,
  }),
  row('litellm_proxy', 'LiteLLM', null, ['LITELLM_PROXY_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    baseUrlVariables: ['LITELLM_PROXY_API_BASE'],
    isGeneric: true,
  }),
  row('openai_like', "A server that speaks OpenAI's protocol", null, ['OPENAI_LIKE_API_KEY'], {
    ...OPTIONAL,
    ...ANY,
    aliases: ['custom_openai'],
    baseUrlVariables: ['OPENAI_LIKE_API_BASE'],
    isGeneric: true,
  }),
]);
