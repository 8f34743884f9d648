/** The models that the checks use. */

export const REHEARSAL = 'understudy/rehearsal';

export interface Target {
  readonly model: string;
  /** Null: checks of embeddings are skipped. */
  readonly embeddingModel: string | null;
  /** The model does what it is told to: it fails on demand, and calls the function that is named. */
  readonly isRehearsal: boolean;
}
