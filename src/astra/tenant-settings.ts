/** The bounds of sessions, and what can be told of them. */

import type { Retirement } from './tenant-entries.ts';

export interface TenantSessionSettings {
  readonly sessionsMax: number;
  /** A session that nobody has used for so long is closed. */
  readonly idleMs: number;
  /** A revoked token stops working within this. */
  readonly revalidateMs: number;
  /** How much longer sessions serve while Astra's API does not answer. */
  readonly graceMs: number;
  /** Sessions used more recently are not closed for others: a working run renews its lease every ten seconds. */
  readonly protectMs: number;
  /** A session whose calls have all failed for so long is given up: a new one may have more luck, with a new bundle. */
  readonly brokenMs: number;
  /** Connects under way at once. */
  readonly connectsMax: number;
  /** How long a request waits for its database, to be told then to come back. */
  readonly answerMs: number;
  /** For so long, what failed is answered without another try. */
  readonly failureMs: number;
}

export const TENANT_SESSION_SETTINGS: TenantSessionSettings = Object.freeze({
  sessionsMax: 100,
  idleMs: 10 * 60_000,
  revalidateMs: 60_000,
  graceMs: 5 * 60_000,
  protectMs: 15_000,
  brokenMs: 30_000,
  connectsMax: 8,
  answerMs: 15_000,
  failureMs: 2_000,
});

export interface TenantStatistics {
  /** Sessions that serve. */
  readonly open: number;
  /** Given up, but still used by calls. */
  readonly closing: number;
  /** Being looked for, or connected to. */
  readonly opening: number;
  /** All that were ever opened. */
  readonly opened: number;
  readonly failed: number;
  readonly retired: Readonly<Record<Retirement, number>>;
}
