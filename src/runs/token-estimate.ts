/** How many tokens a text has, roughly: enough to bound a prompt, never shown as usage. */

/** English prose and code have about four characters a token. */
const CHARACTERS_PER_TOKEN = 4;
/** UTF-8 bytes beyond one a character: Cyrillic comes to about 0.6 tokens a character, Chinese to about 0.9. */
const EXTRA_BYTES_PER_TOKEN = 3;

export function estimateTokens(text: string): number {
  const extraBytes = Buffer.byteLength(text) - text.length;
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN + extraBytes / EXTRA_BYTES_PER_TOKEN);
}
