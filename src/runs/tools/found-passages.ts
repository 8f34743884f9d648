/** What the model is shown of searches: passages under markers, as many as the prompt has room for. */

import { removeMarkers } from '../citations.ts';
import type { AnsweredCall, FoundPassage } from '../run-records.ts';
import { estimateTokens } from '../token-estimate.ts';
import type { Turn } from '../turns.ts';

/** Blank lines, and what an estimate is off by. */
const TOKENS_PER_PASSAGE = 4;

/** The answer to a call as the model reads it. */
export function toShownOutput({ output, found }: AnsweredCall): string {
  if (found === undefined) return output;
  const [first] = found;
  if (first === undefined) return output === '' ? NOTHING_FOUND : output;
  const passages = found.map(toShownPassage).join('\n\n');
  return [
    ...(output === '' ? [] : [output]),
    passages,
    `Cite what you use: repeat its marker, such as ${first.marker}, right after each sentence that rests on it.`,
  ].join('\n\n');
}

const NOTHING_FOUND = 'Nothing was found in the files.';

/** Markers that stand in the document itself name nothing of this run. */
function toShownPassage({ marker, page, text }: FoundPassage): string {
  return `${marker}${page === null ? '' : ` (page ${page})`}\n${removeMarkers(text)}`;
}

/** As many passages, from the first on, as fit. */
export function takeFitting<T extends FoundPassage>(found: readonly T[], tokensMax: number): readonly T[] {
  let tokens = 0;
  const end = found.findIndex((passage) => {
    tokens += toTokens(passage);
    return tokens > tokensMax;
  });
  return end === -1 ? found : found.slice(0, end);
}

/** Tokens of all passages that the turns show, estimated. */
export function countFoundTokens(turns: readonly Turn[]): number {
  return toFound(turns).reduce((sum, passage) => sum + toTokens(passage), 0);
}

/** The turns with fewer passages, so that all together have no more tokens; those of the newest call come first. */
export function limitFound(turns: readonly Turn[], tokensMax: number): readonly Turn[] {
  let left = tokensMax;
  const limit = (call: AnsweredCall): AnsweredCall => {
    if (call.found === undefined || call.found.length === 0) return call;
    const kept = takeFitting(call.found, left);
    left -= kept.reduce((sum, passage) => sum + toTokens(passage), 0);
    return { ...call, found: kept, ...(kept.length === 0 ? { output: NO_ROOM } : {}) };
  };
  return turns
    .toReversed()
    .map((turn) => ({ ...turn, calls: turn.calls.toReversed().map(limit).toReversed() }))
    .toReversed();
}

/** Instead of what was found, where nothing of it fits. */
export const NO_ROOM = 'What was found in the files is too long for this conversation.';

export function toFound(turns: readonly Turn[]): readonly FoundPassage[] {
  return turns.flatMap((turn) => turn.calls.flatMap((call) => call.found ?? []));
}

function toTokens(passage: FoundPassage): number {
  return estimateTokens(toShownPassage(passage)) + TOKENS_PER_PASSAGE;
}
