/** The rehearsal model's tokens: words with the space before them, long ones in pieces. */

import type { ChatRequest } from '../provider.ts';

const PIECE_CHARACTERS_MAX = 16;
const MESSAGE_TOKENS = 4;

/** The pieces in which a text is streamed; each counts as one token. Joined they are the text. */
export function splitPieces(text: string): readonly string[] {
  const pieces: string[] = [];
  for (const [word] of text.matchAll(/\s*\S+|\s+$/gu)) {
    const characters = [...word];
    for (let at = 0; at < characters.length; at += PIECE_CHARACTERS_MAX) {
      pieces.push(characters.slice(at, at + PIECE_CHARACTERS_MAX).join(''));
    }
  }
  return pieces;
}

export function limitPieces(pieces: readonly string[], countMax: number): readonly string[] {
  return pieces.length <= countMax ? pieces : pieces.slice(0, Math.max(0, Math.floor(countMax)));
}

/** An estimate for the prompt: the same for the same request, and longer for a longer one. */
export function countTokens(request: ChatRequest): number {
  const messages = request.messages.map((message) => MESSAGE_TOKENS + countText(message));
  return (
    messages.reduce((sum, count) => sum + count, 0) +
    (request.tools ?? []).reduce((sum, tool) => sum + countText(tool), 0)
  );
}

/** A quarter of the characters, pictures apart: they are long, but not in words. */
function countText(value: unknown): number {
  const text = JSON.stringify(value, (key, inner) => (key === 'image_url' ? '' : inner)) ?? '';
  return Math.ceil(text.length / 4);
}
