/** The embedding model that a file was uploaded for, which OpenAI's files do not have. */

import type OpenAI from 'openai';

/** A file as an understudy server shows it. */
export type EmbeddedFile = OpenAI.FileObject & {
  /** What the header `embedding-model` of the upload named; absent, or null, where it named none. */
  readonly embedding_model?: string | null;
};

/** The model of vector stores that this file is the first of; null: the upload named none. */
export function readEmbeddingModel(file: OpenAI.FileObject): string | null {
  return (file as EmbeddedFile).embedding_model ?? null;
}
