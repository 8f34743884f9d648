/**
 * Ids of tool calls as another provider wants them: Mistral takes nine letters and digits, Anthropic and Bedrock 64 characters
 * without points and colons.
 *
 * A thread that changes its model carries ids of all kinds. What is stored stays; what is sent is made of it, always the
 * same, so that a call and its output meet.
 */

import { createHash } from 'node:crypto';

export interface CallIdRule {
  /** Ids that the provider takes as they are. */
  readonly pattern: RegExp;
  /** Length of those that are made. */
  readonly characters: number;
}

export const PLAIN_CALL_IDS: CallIdRule = Object.freeze({
  pattern: /^[a-zA-Z0-9_-]{1,64}$/,
  characters: 32,
});

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The id itself where the provider takes it, or one made of it. Null: the provider takes any. */
export function toOutgoingCallId(id: string, rule: CallIdRule | null): string {
  if (rule === null || rule.pattern.test(id)) return id;
  const digest = createHash('sha256').update(id).digest();
  // 32 bytes are more than enough of characters for every rule; a slight preference of some letters does no harm.
  return [...digest.subarray(0, rule.characters)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
