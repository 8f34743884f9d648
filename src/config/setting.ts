/** What a setting is, and the kinds of values that several have. */

import { type Static, type TSchema, Type } from '@sinclair/typebox';

export interface Setting<S extends TSchema = TSchema> {
  /** The flag without its dashes, and the name in the file. */
  readonly flag: string;
  /** What stands for the value in the help; null for a switch. */
  readonly argument: string | null;
  readonly schema: S;
  readonly fallback: Static<S>;
  /** One line of help. */
  readonly about: string;
}

export const LIST_MAX = 100;
export const TEXT_MAX = 4096;

export const Text = Type.String({ minLength: 1, maxLength: TEXT_MAX });
export const Name = Type.String({ minLength: 1, maxLength: 253 });

export function setting<S extends TSchema>(given: Setting<S>): Setting<S> {
  return Object.freeze(given);
}
