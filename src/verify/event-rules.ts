/** Which events a stream must have and in which order, and how a stream that came is held against that. */

import type { TSchema } from '@sinclair/typebox';
import { AssistantStreamEvent } from '../schemas/generated/stream-events.ts';
import type { Exchange, WireEvent } from './exchanges.ts';
import { toJson } from './exchanges.ts';
import type { Line } from './outcome.ts';
import { findSchemaFault } from './schema-faults.ts';

/** The end of every stream. */
export const DONE = 'done';

export interface EventRule {
  readonly name: string;
  /** Whether it may come again. */
  readonly isRepeated?: boolean;
  /** Whether it may come before the rule above it: two endings are told in either order. */
  readonly isFree?: boolean;
  /** Null: the data is no JSON. */
  readonly schema: TSchema | null;
}

export interface EventRules {
  /** In the order of their first appearance. */
  readonly rules: readonly EventRule[];
  /** Events that may come and are no line. */
  readonly mayCome?: readonly string[];
  /** How an event is called in the rules. */
  toName(event: WireEvent): string;
}

type Judged = Pick<Line, 'event' | 'outcome' | 'detail' | 'durationMs'>;

/** A line for each rule, and one for each event that should not have come. */
export function judgeEvents(rules: EventRules, exchange: Exchange, breakage: string | null): Judged[] {
  const events = (exchange.events ?? []).map((event) => ({ ...event, as: rules.toName(event) }));
  const isWhole = events.some(({ as }) => as === DONE);
  const firsts = new Map<string, number>();
  events.forEach(({ as }, index) => {
    if (!firsts.has(as)) firsts.set(as, index);
  });
  const lines = rules.rules.map((rule, place): Judged => {
    const first = firsts.get(rule.name);
    const judged = { event: rule.name, durationMs: first === undefined ? 0 : (events[first]?.afterMs ?? 0) };
    if (first === undefined) return { ...judged, ...toAbsence(rule, events, isWhole, breakage) };
    const own = events.filter(({ as }) => as === rule.name);
    const fault =
      findOrderFault(rules.rules, place, firsts) ??
      (own.length > 1 && rule.isRepeated !== true ? `it came ${own.length} times` : null) ??
      (rule.name === DONE && events.at(-1)?.as !== DONE ? `${events.at(-1)?.as} came after it` : null) ??
      findFirst(own, (event) => findDataFault(rule, event)) ??
      findTextFault(rule.name, events);
    return { ...judged, outcome: fault === null ? 'ok' : 'failed', detail: fault ?? '' };
  });
  const known = new Set([...rules.rules.map(({ name }) => name), ...(rules.mayCome ?? [])]);
  const odd = [...firsts].filter(([name]) => !known.has(name));
  return [...lines, ...odd.map(([name, index]) => toOddLine(name, events[index]))];
}

function toAbsence(
  rule: EventRule,
  events: readonly { as: string }[],
  isWhole: boolean,
  breakage: string | null,
): Pick<Judged, 'outcome' | 'detail'> {
  if (rule.name === DONE) {
    const last = events.at(-1)?.as ?? 'no event';
    const how = breakage === null ? 'ended' : `broke (${breakage})`;
    return { outcome: 'failed', detail: `the stream ${how} after ${last}, without its end` };
  }
  if (!isWhole) return { outcome: 'skipped', detail: 'the stream was cut off before it' };
  return { outcome: 'failed', detail: 'it did not come' };
}

/** Whether it came before the nearest rule above it that came at all. */
function findOrderFault(
  rules: readonly EventRule[],
  place: number,
  firsts: ReadonlyMap<string, number>,
): string | null {
  const own = rules[place];
  if (own === undefined || own.isFree === true) return null;
  const before = rules.slice(0, place).findLast(({ name, isFree }) => isFree !== true && firsts.has(name));
  if (before === undefined) return null;
  const isLater = (firsts.get(own.name) ?? 0) > (firsts.get(before.name) ?? 0);
  return isLater ? null : `it came before ${before.name}`;
}

function findDataFault(rule: EventRule, { data }: WireEvent): string | null {
  if (rule.schema === null) return null;
  const json = toJson(data);
  if (json === undefined) return 'its data is no JSON';
  const fault = findSchemaFault(rule.schema, json);
  if (fault !== null) return fault;
  const stated = STATUS.exec(rule.name)?.[1];
  const status = readField(json, 'status');
  return stated === undefined || status === stated ? null : `its status is ${String(status)}`;
}

/** Events that name a status carry it. */
const STATUS =
  /^thread\..*\.(queued|in_progress|requires_action|completed|incomplete|failed|cancelling|cancelled|expired)$/;

/** The text that a message ends with is what its deltas were. */
function findTextFault(name: string, events: readonly (WireEvent & { as: string })[]): string | null {
  if (name !== 'thread.message.completed') return null;
  const message = toJson(events.find(({ as }) => as === name)?.data ?? '');
  const deltas = events.flatMap(({ as, data }) => (as === 'thread.message.delta' ? [toJson(data)] : []));
  if (deltas.length === 0) return null;
  const told = deltas.map((delta) => toText(readField(delta, 'delta'))).join('');
  return told === toText(message) ? null : 'its text is not that of its deltas';
}

function toText(message: unknown): string {
  const content = readField(message, 'content');
  if (!Array.isArray(content)) return '';
  return content.map((part) => String(readField(readField(part, 'text'), 'value') ?? '')).join('');
}

function toOddLine(name: string, event: WireEvent | undefined): Judged {
  const reason = readField(readField(toJson(event?.data ?? ''), 'last_error'), 'message');
  const detail = `it should not come${typeof reason === 'string' ? `: ${reason}` : ''}`;
  return { event: name, outcome: 'failed', detail, durationMs: event?.afterMs ?? 0 };
}

function findFirst<T>(items: readonly T[], find: (item: T) => string | null): string | null {
  for (const item of items) {
    const found = find(item);
    if (found !== null) return found;
  }
  return null;
}

export function readField(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** The schema of each event's data, by its name: `thread.run.created`. */
export function toEventSchemas(): ReadonlyMap<string, TSchema> {
  const schemas = new Map<string, TSchema>();
  const walk = (schema: TSchema): void => {
    for (const member of (schema.anyOf as TSchema[] | undefined) ?? []) walk(member);
    const name: unknown = schema.properties?.event?.const;
    if (typeof name === 'string') schemas.set(name, schema.properties.data);
  };
  walk(AssistantStreamEvent);
  return schemas;
}

/** Rules for a stream of a run. A name that ends with `*` may come again; one that begins with `~` in any order. */
export function toRunRules(names: readonly string[], mayCome: readonly string[] = []): EventRules {
  const schemas = toEventSchemas();
  const rules = names.map((marked): EventRule => {
    const name = marked.replace(/^~|\*$/g, '');
    const schema = name === DONE ? null : schemas.get(name);
    if (schema === undefined) throw new Error(`There is no event ${name}.`);
    return { name, isRepeated: marked.endsWith('*'), isFree: marked.startsWith('~'), schema };
  });
  return { rules, mayCome, toName: ({ name }) => name ?? 'an event without a name' };
}
