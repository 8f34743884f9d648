/** What primary and workers say to each other, each message checked where it arrives. */

import { type Static, Type } from '@sinclair/typebox';
import { Misuse } from '../misuse.ts';

const MODELS_SHOWN_MAX = 8;
const TEXT_MAX = 4096;
const PORT_MAX = 65_535;

/** What a worker found when it started, for the primary to tell the operator. */
export const StartupFindings = Type.Object({
  /** A model server on this machine, where no other was configured and one answered. */
  localServer: Type.Union([
    Type.Null(),
    Type.Object({
      kind: Type.String({ maxLength: TEXT_MAX }),
      baseUrl: Type.String({ maxLength: TEXT_MAX }),
      modelCount: Type.Integer({ minimum: 0 }),
      /** The first few. */
      models: Type.Array(Type.String({ maxLength: TEXT_MAX }), { maxItems: MODELS_SHOWN_MAX }),
    }),
  ]),
});
export type StartupFindings = Static<typeof StartupFindings>;

export const ReadyMessage = Type.Object({
  kind: Type.Literal('ready'),
  /** Where clients reach the server. */
  url: Type.String({ maxLength: TEXT_MAX }),
  /** Where the worker listens: another port where the primary hands connections on. */
  port: Type.Integer({ minimum: 1, maximum: PORT_MAX }),
  findings: StartupFindings,
});
export type ReadyMessage = Static<typeof ReadyMessage>;

/** The worker cannot start; it ends by itself. */
export const FailedMessage = Type.Object({
  kind: Type.Literal('failed'),
  message: Type.String({ maxLength: TEXT_MAX }),
  /** Whether it is what the operator alone can change. */
  isMisuse: Type.Boolean(),
});
export type FailedMessage = Static<typeof FailedMessage>;

/** The worker asks what only the primary knows (`fleet.ts`); what is asked is checked by whoever answers. */
export const QuestionMessage = Type.Object({
  kind: Type.Literal('question'),
  id: Type.Integer({ minimum: 0 }),
  topic: Type.String({ maxLength: TEXT_MAX }),
  body: Type.Unknown(),
});
export type QuestionMessage = Static<typeof QuestionMessage>;

export const WorkerMessage = Type.Union([ReadyMessage, FailedMessage, QuestionMessage]);
export type WorkerMessage = Static<typeof WorkerMessage>;

/** Stop accepting, let runs go on for as long as `graceMs`, close, end. */
export const DrainMessage = Type.Object({
  kind: Type.Literal('drain'),
  graceMs: Type.Integer({ minimum: 0 }),
});
export type DrainMessage = Static<typeof DrainMessage>;

/** To the question of this id. `problem` is null where there is an answer. */
export const AnswerMessage = Type.Object({
  kind: Type.Literal('answer'),
  id: Type.Integer({ minimum: 0 }),
  problem: Type.Union([Type.Null(), Type.String({ maxLength: TEXT_MAX })]),
  body: Type.Unknown(),
});
export type AnswerMessage = Static<typeof AnswerMessage>;

/** Something that every worker is told, and that needs no answer. */
export const NoticeMessage = Type.Object({
  kind: Type.Literal('notice'),
  topic: Type.String({ maxLength: TEXT_MAX }),
  body: Type.Unknown(),
});
export type NoticeMessage = Static<typeof NoticeMessage>;

export const PrimaryMessage = Type.Union([DrainMessage, AnswerMessage, NoticeMessage]);
export type PrimaryMessage = Static<typeof PrimaryMessage>;

export function toFailedMessage(error: unknown): FailedMessage {
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', message: message.slice(0, TEXT_MAX), isMisuse: error instanceof Misuse };
}

interface FoundServer {
  readonly kind: string;
  readonly baseUrl: string;
  readonly models: readonly { readonly id: string }[];
}

export function toFindings(server: FoundServer | null): StartupFindings {
  if (server === null) return { localServer: null };
  const { kind, baseUrl, models } = server;
  const shown = models.slice(0, MODELS_SHOWN_MAX).map((model) => model.id.slice(0, TEXT_MAX));
  return { localServer: { kind, baseUrl, modelCount: models.length, models: shown } };
}
