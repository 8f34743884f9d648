/**
 * Texts that are longer than an embedding model's window are cut into windows whose vectors are averaged by length:
 * most servers would cut silently what does not fit.
 */

/** Where nothing is known; OpenAI's and most newer models take as much. */
const WINDOW_TOKENS_DEFAULT = 8_191;

/** Windows of models that take less, by what their names hold. */
const WINDOWS: readonly (readonly [pattern: RegExp, tokens: number])[] = Object.freeze([
  [/all-minilm|paraphrase-|multi-qa-|all-mpnet/i, 256],
  [
    /bge-m3|jina-embeddings-v[234]|nomic-embed|qwen3-embedding|gte-(qwen|large-en-v1\.5|multilingual)/i,
    8_192,
  ],
  [/embeddinggemma/i, 2_048],
  [/(^|[/:-])(e5|bge|gte|mxbai|snowflake-arctic-embed|multilingual-e5)(-|_|:|$)/i, 512],
  [/embed-(english|multilingual)-/i, 512],
] as const);

/** Tokens that one text of this model may have. */
export function findWindowTokens(model: string): number {
  return WINDOWS.find(([pattern]) => pattern.test(model))?.[1] ?? WINDOW_TOKENS_DEFAULT;
}

/** Models cut words differently: by this estimate no script has more tokens than counted. */
const CHARACTERS_PER_TOKEN = 3;
const WIDE = /[\u0E00-\u0E7F\u1000-\u109F\u1780-\u17FF\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7AF]/g;

/** Tokens of a text, rather too many than too few. */
export function estimateEmbeddingTokens(text: string): number {
  const wide = text.match(WIDE)?.length ?? 0;
  return wide + Math.ceil((text.length - wide) / CHARACTERS_PER_TOKEN);
}

/** The text in as few windows as hold it, of about the same length, cut at white space where there is some. */
export function splitWindows(text: string, tokensMax: number): readonly string[] {
  const tokens = estimateEmbeddingTokens(text);
  if (tokens <= tokensMax) return [text];
  const count = Math.ceil(tokens / tokensMax);
  const length = Math.ceil(text.length / count);
  const windows: string[] = [];
  let start = 0;
  while (start < text.length) {
    const end = start + length >= text.length ? text.length : findCut(text, start, start + length);
    windows.push(text.slice(start, end));
    start = end;
  }
  const worded = windows.filter((window) => window.trim() !== '');
  return worded.length === 0 ? windows.slice(0, 1) : worded;
}

/** The end of the window: behind the last white space of its second half, or where it must be; never inside a pair. */
function findCut(text: string, start: number, end: number): number {
  const half = start + ((end - start) >> 1);
  for (let at = end; at > half; at -= 1) {
    if (/\s/.test(text.charAt(at - 1))) return at;
  }
  const unit = text.charCodeAt(end - 1);
  return unit >= 0xd800 && unit <= 0xdbff ? end + 1 : end;
}
