/**
 * Sweeps over the databases of all open tenants. Each is swept by itself: one that does not answer, or is full of work, holds up no
 * other. A tenant whose database is not open in this process is swept when a request brings its token again.
 */

import { type Log, toLogFields } from '../log.ts';
import type { SystemPlaces } from './system-places.ts';
import { createTenantPorts, type TenantPorts } from './tenant-ports.ts';
import type { TenantSessions } from './tenant-sessions.ts';

export interface TenantSweepDeps {
  readonly sessions: TenantSessions;
  readonly places: SystemPlaces;
  readonly log: Log;
}

/** How long a round waits for the slow: they are left to themselves then, and not swept again before they are through. */
const ROUND_MS = 2_000;

interface Swept {
  readonly sweep: () => Promise<unknown>;
  isUnderWay: boolean;
}

/**
 * One round for each call. `prepare` is called once for each tenant that appears, and answers its sweep, which may keep what it
 * saw from round to round.
 */
export function createTenantSweep(
  deps: TenantSweepDeps,
  failed: string,
  prepare: (ports: TenantPorts) => () => Promise<unknown>,
): () => Promise<void> {
  const { sessions, log } = deps;
  const known = new Map<string, Swept>();

  const sweepOne = async (tenant: string): Promise<void> => {
    const swept = known.get(tenant) ?? { sweep: prepare(createTenantPorts(deps, tenant)), isUnderWay: false };
    known.set(tenant, swept);
    if (swept.isUnderWay) return;
    swept.isUnderWay = true;
    try {
      await swept.sweep();
    } catch (error) {
      log.warn(failed, toLogFields(error));
    } finally {
      swept.isUnderWay = false;
    }
  };

  return async () => {
    const tenants = sessions.tenants();
    for (const tenant of known.keys()) if (!tenants.includes(tenant)) known.delete(tenant);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ROUND_MS);
    await Promise.race([Promise.all(tenants.map(sweepOne)), late.promise]);
    clearTimeout(timer);
  };
}
