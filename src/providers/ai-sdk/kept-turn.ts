/**
 * What a provider wants back with the next turn: signed thoughts, and signatures of calls.
 *
 * It is the value of a `metadata` event, and comes back with the assistant's message. It may have been stored, or have been in a
 * client's hands: what is read of it is checked, and what another provider made is passed over.
 */

import type { SharedV4ProviderMetadata } from '@ai-sdk/provider';
import { type JsonRecord, toList, toRecord, toText } from '../json-values.ts';

export interface KeptThought {
  readonly text: string;
  /** As the package gave it, without its own name. */
  readonly options: JsonRecord;
}

export interface KeptTurn {
  /** The protocol that can read it. */
  readonly provider: string;
  readonly thoughts: readonly KeptThought[];
  /** By the ids of the calls, as they were given out. */
  readonly calls: Readonly<Record<string, JsonRecord>>;
}

const NOTHING: KeptTurn = Object.freeze({ provider: '', thoughts: [], calls: {} });

/** Of the `provider_metadata` of a message; empty where it is another provider's, or none. */
export function readKeptTurn(value: unknown, provider: string): KeptTurn {
  const record = toRecord(value);
  if (record === null || record.provider !== provider) return NOTHING;
  const thoughts = toList(record.thoughts).flatMap((entry): KeptThought[] => {
    const thought = toRecord(entry);
    const options = toRecord(thought?.options);
    return thought === null || options === null ? [] : [{ text: toText(thought.text) ?? '', options }];
  });
  const calls = Object.entries(toRecord(record.calls) ?? {}).flatMap(
    ([id, entry]): [string, JsonRecord][] => {
      const options = toRecord(entry);
      return options === null ? [] : [[id, options]];
    },
  );
  return { provider, thoughts, calls: Object.fromEntries(calls) };
}

/** As the packages take it. */
export function toProviderOptions(name: string, options: JsonRecord): SharedV4ProviderMetadata {
  // What was kept came out of a package as JSON, and is checked by the package when it goes in again.
  return { [name]: options } as SharedV4ProviderMetadata;
}
