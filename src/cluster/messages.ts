/** What primary and workers say to each other, each message checked where it arrives. */

import { type Static, Type } from '@sinclair/typebox';

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
  url: Type.String({ maxLength: TEXT_MAX }),
  port: Type.Integer({ minimum: 1, maximum: PORT_MAX }),
  findings: StartupFindings,
});
export type ReadyMessage = Static<typeof ReadyMessage>;

/** The worker cannot start; it ends by itself. */
export const FailedMessage = Type.Object({
  kind: Type.Literal('failed'),
  message: Type.String({ maxLength: TEXT_MAX }),
});
export type FailedMessage = Static<typeof FailedMessage>;

export const WorkerMessage = Type.Union([ReadyMessage, FailedMessage]);
export type WorkerMessage = Static<typeof WorkerMessage>;

/** Stop accepting, let runs go on for as long as `graceMs`, close, end. */
export const PrimaryMessage = Type.Object({
  kind: Type.Literal('drain'),
  graceMs: Type.Integer({ minimum: 0 }),
});
export type PrimaryMessage = Static<typeof PrimaryMessage>;

export function toFailedMessage(message: string): FailedMessage {
  return { kind: 'failed', message: message.slice(0, TEXT_MAX) };
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
