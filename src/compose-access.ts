/** Who may come in, put together: everybody, who has a key of the server's, or who brings a token of a database. */

import { createKeyAdmission } from './access/admission.ts';
import { OPEN_TENANT } from './access/key-records.ts';
import { createRequestLimiter, type RequestLimiter } from './access/limits/limiter.ts';
import type { AskLimits } from './access/limits/limits-protocol.ts';
import type { TenantEngines } from './compose-store.ts';
import type { Log } from './log.ts';
import { createLocalAccess } from './metrics/local-access.ts';
import type { UsageMeter } from './metrics/usage-meter.ts';
import type { Ports } from './ports.ts';
import { createHostCheck } from './routes/manners.ts';
import type { ServerDeps } from './server.ts';

export interface KeySettings {
  /** Addresses and ranges from which the metrics may be read without a key. */
  readonly metricsAddresses: readonly string[];
  /** Asks whoever counts for all processes of the server. */
  readonly askLimits: AskLimits;
}

export interface AccessSettings {
  /** Where the server has keys of its own; null: everybody may come in, or the store tells who. */
  readonly keys: KeySettings | null;
  /** Names, besides addresses and `localhost`, under which the server answers. */
  readonly allowedHosts: readonly string[];
  /** The address of the request's client, whatever its headers say; null where it is gone. */
  readonly findAddress: (request: Request) => string | null;
}

export type Admission = Pick<ServerDeps, 'authenticate' | 'checkHost' | 'checkMetricsAccess'> &
  Partial<Pick<ServerDeps, 'admit' | 'identify' | 'checkRoutes'>>;

/** Null where nobody's use is limited. */
export function composeLimiter(keys: KeySettings | null, log: Log): RequestLimiter | null {
  if (keys === null) return null;
  // A clock that is set must not give or take anything.
  return createRequestLimiter({ ask: keys.askLimits, clock: { nowMs: () => performance.now() }, log });
}

/** What is told of tokens that are used. */
export function toTokenMeters(limiter: RequestLimiter | null): readonly UsageMeter[] {
  if (limiter === null) return [];
  return [
    {
      note({ tenant, keyId, promptTokens, completionTokens }) {
        // What is embedded for a file is used by no key of its own, but by the project.
        limiter.chargeTokens(tenant, keyId ?? '', promptTokens + completionTokens);
      },
    },
  ];
}

export function composeAdmission(
  ports: Pick<Ports, 'store' | 'clock' | 'log'>,
  { keys, allowedHosts, findAddress }: AccessSettings,
  limiter: RequestLimiter | null,
  tenants: TenantEngines | null,
): Admission {
  if (keys !== null && limiter !== null) {
    // A page that found the server under another name would have no key.
    const checkHost = () => undefined;
    return { ...createKeyAdmission({ ...ports, ...keys, findAddress, limiter }), checkHost };
  }
  if (tenants !== null) {
    const { authenticate, admit } = tenants.admission;
    const checkMetricsAccess = createLocalAccess(findAddress);
    return { authenticate, admit, checkHost: createHostCheck(allowedHosts), checkMetricsAccess };
  }
  return {
    authenticate: () => ({ tenant: OPEN_TENANT }),
    checkHost: createHostCheck(allowedHosts),
    checkMetricsAccess: () => undefined,
  };
}
