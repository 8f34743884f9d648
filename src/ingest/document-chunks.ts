/** From a document's text to chunks with page, context, language and terms, in batches. */

import { type Analyser, detectLanguage } from '../vector/analyser.ts';
import { encodeTerms } from '../vector/terms.ts';
import { cutText, type Piece } from './chunker.ts';
import { createContext, createPageFinder } from './context.ts';
import type { Chunking, DocumentChunk, DocumentSummary } from './document-reader.ts';
import type { ReadText } from './read-text.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A batch is handed on when it has so many chunks, or so many UTF-16 units of text. */
export const BATCH_CHUNKS_MAX = 32;
const BATCH_LENGTH_MAX = 128 * 1024;
/** The document's language is told by so much of its text. */
const LANGUAGE_SAMPLE_LENGTH = 20_000;

export interface ChunkMakers {
  readonly tokenizer: Tokenizer;
  readonly analyser: Analyser;
}

/** Batches are never empty. Throws `DocumentError` where the text is too long. */
export function* makeChunks(
  document: ReadText,
  fileName: string,
  chunking: Chunking,
  { tokenizer, analyser }: ChunkMakers,
): Generator<DocumentChunk[], DocumentSummary, undefined> {
  const toContext = createContext(document, fileName);
  const findPage = createPageFinder(document.pages);
  const mainLanguage = detectLanguage(document.text.slice(0, LANGUAGE_SAMPLE_LENGTH));
  const languages = new Set<string>();
  const toChunk = (piece: Piece): DocumentChunk => {
    const textAt = findText(document.text, piece);
    const context = toContext(textAt);
    const language = detectLanguage(piece.text) ?? mainLanguage;
    if (language !== null) languages.add(language);
    const terms = encodeTerms(analyser.analyseChunk({ text: piece.text, context, fileName, language }));
    return { ...piece, page: findPage(textAt), context, terms };
  };
  let batch: DocumentChunk[] = [];
  let length = 0;
  let chunks = 0;
  for (const piece of cutText(document, chunking, tokenizer)) {
    batch.push(toChunk(piece));
    chunks += 1;
    length += piece.text.length;
    if (batch.length < BATCH_CHUNKS_MAX && length < BATCH_LENGTH_MAX) continue;
    yield batch;
    batch = [];
    length = 0;
  }
  if (batch.length > 0) yield batch;
  return { chunks, languages: [...languages].sort() };
}

/** Where the piece's first character stands that is no blank; its beginning where it has none. */
function findText(text: string, { start, end }: Piece): number {
  const visible = /\S/g;
  visible.lastIndex = start;
  const at = visible.exec(text)?.index ?? start;
  return at < end ? at : start;
}
