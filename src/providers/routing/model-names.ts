/** What a model's name says of who answers it. */

export interface PrefixedName {
  /** What stands before the first slash. */
  readonly prefix: string;
  /** What stands behind it. */
  readonly rest: string;
}

/** The parts of `groq/llama-3.3-70b`; null for a name without a slash, or with nothing on one side of it. */
export function splitPrefix(name: string): PrefixedName | null {
  const at = name.indexOf('/');
  return at <= 0 || at === name.length - 1 ? null : { prefix: name.slice(0, at), rest: name.slice(at + 1) };
}

export interface NameRule {
  readonly provider: string;
  readonly pattern: RegExp;
}

/**
 * Patterns last longer than a list of names. None takes a colon (`deepseek-r1:8b` is a name of Ollama's) but where the
 * provider's own names have one.
 */
export const NAME_RULES: readonly NameRule[] = Object.freeze([
  { provider: 'bedrock', pattern: /^arn:aws[a-z-]*:(bedrock|sagemaker):/ },
  // `anthropic.claude-3-haiku-20240307-v1:0`, with a region in front, and without a version behind: `amazon.nova-pro`.
  {
    provider: 'bedrock',
    pattern:
      /^((us|us-gov|eu|apac|ap|jp|au|ca|sa|global)\.)?(ai21|amazon|anthropic|cohere|deepseek|luma|meta|mistral|moonshot|moonshotai|minimax|nvidia|openai|qwen|stability|twelvelabs|writer|zai|google)\.[a-z0-9][\w.-]*(:\d+(:\w+)?)?$/,
  },
  { provider: 'openai', pattern: /^ft:(gpt-|o\d|babbage-|davinci-)/ },
  {
    provider: 'openai',
    pattern: /^(gpt-(?!oss)|chatgpt-|o\d($|-)|text-embedding-(3|ada)|codex-|computer-use-)[^:/]*$/,
  },
  {
    provider: 'openai',
    pattern: /^(text-moderation-|omni-moderation-|whisper-|tts-|dall-e-|davinci-002|babbage-002)[^:/]*$/,
  },
  { provider: 'anthropic', pattern: /^claude-[^:/]+$/ },
  { provider: 'gemini', pattern: /^gemini-[^:/]+$/ },
  { provider: 'cohere', pattern: /^(command($|-)|c4ai-aya-|embed-(v\d|english|multilingual))[^:/]*$/ },
  {
    provider: 'mistral',
    pattern:
      /^(mistral|magistral|codestral|ministral|pixtral|devstral|voxtral|open-mistral|open-mixtral)-[^:/]+$/,
  },
  { provider: 'deepseek', pattern: /^deepseek-[^:/]+$/ },
  { provider: 'perplexity', pattern: /^(sonar($|-)|pplx-)[^:/]*$/ },
  { provider: 'xai', pattern: /^grok-[^:/]+$/ },
  { provider: 'voyage', pattern: /^voyage-[^:/]+$/ },
  { provider: 'jina_ai', pattern: /^jina-embeddings-[^:/]+$/ },
]);

/** The provider that a name without a prefix is known to be of; null where it may be anybody's. */
export function guessProvider(name: string): string | null {
  return NAME_RULES.find(({ pattern }) => pattern.test(name))?.provider ?? null;
}

/** Whether a name is `pattern`, or begins with what stands in it before a `*` at its end. */
export function matchesName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
