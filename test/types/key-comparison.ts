/** Compares two types of the same thing, field by field, at compile time. */

type Scalar = string | number | boolean | bigint | symbol | null | undefined;

/** Fields whose literals tell the members of a union apart. */
type Tag = 'type' | 'event' | 'role' | 'object';

type DifferingTag<Theirs, Ours> = {
  [K in keyof Theirs & keyof Ours & Tag]: [NonNullable<Theirs[K]> & NonNullable<Ours[K]>] extends [never]
    ? K
    : never;
}[keyof Theirs & keyof Ours & Tag];

/** Of the members of `Ours`, those that may mean the same as `Theirs`, one member of a union. */
type Counterpart<Theirs, Ours> = Ours extends Scalar
  ? never
  : [DifferingTag<Theirs, Ours>] extends [never]
    ? Ours
    : never;

type KeyOfAny<Union> = Union extends unknown ? keyof Union : never;
type ValueOfAny<Union, Key> = Union extends unknown ? (Key extends keyof Union ? Union[Key] : never) : never;
type ItemOfAny<Union> = Union extends readonly (infer Item)[] ? Item : never;

type MissingInObject<Theirs, Ours, Path extends string> = {
  [K in keyof Theirs & string]-?: K extends KeyOfAny<Ours>
    ? MissingKeys<Theirs[K], ValueOfAny<Ours, K>, `${Path}.${K}`>
    : `${Path}.${K}`;
}[keyof Theirs & string];

/**
 * The paths (`.tools[].function.name`) of all fields of `Theirs` that `Ours` does not have, at any depth;
 * `never` when there is none. Of a member of a union that `Ours` lacks, all fields are missing. Maps and
 * `unknown` are not looked into.
 */
export type MissingKeys<Theirs, Ours, Path extends string = ''> = unknown extends Theirs
  ? never
  : Theirs extends Scalar
    ? never
    : Theirs extends readonly (infer Item)[]
      ? MissingKeys<Item, ItemOfAny<Ours>, `${Path}[]`>
      : string extends keyof Theirs
        ? never
        : MissingInObject<Theirs, Counterpart<Theirs, Ours>, Path>;

/**
 * What we answer: `Ours` must be good where the SDK expects `Theirs`, or else this does not compile.
 * Yields the fields that we miss.
 */
export type Answered<Ours extends Theirs, Theirs> = MissingKeys<Theirs, Ours>;

/** What we are sent: the same, the other way round. Yields the parameters that we do not know. */
export type Accepted<Ours, Theirs extends Ours> = MissingKeys<Theirs, Ours>;

/**
 * `true` if what is missing is exactly what is known to be missing. A gap that is not known does not compile;
 * an exception that is no longer needed yields its name instead.
 */
export type Complete<Missing extends Known, Known extends string = never> = [Known] extends [Missing]
  ? true
  : { noLongerMissing: Exclude<Known, Missing> };
