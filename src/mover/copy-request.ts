/** What `copy` is told to do. */

import { ConfigError } from '../config/config.ts';

export interface CopyRequest {
  readonly from: string;
  readonly to: string;
  readonly tenant: string;
  readonly isVerifyOnly: boolean;
}

/** The tenant of a server that lets everybody in (`app.ts`). */
export const TENANT_DEFAULT = 'default';

/** `values` are those of the command line. Errors: `ConfigError`. */
export function toCopyRequest(values: ReadonlyMap<string, readonly string[]>): CopyRequest {
  const problems: string[] = [];
  const readOne = (flag: string): string | null => {
    const given = values.get(flag) ?? [];
    if (given.length > 1) problems.push(`--${flag} is given ${given.length} times.`);
    return given[0] ?? null;
  };
  const [from, to, tenant] = [readOne('from'), readOne('to'), readOne('tenant')];
  if (from === null) problems.push('copy needs --from STORE: what to copy.');
  if (to === null) problems.push('copy needs --to STORE: where to.');
  if (tenant === '') problems.push('--tenant needs a name.');
  // Names of this form are the server's own.
  if (tenant?.startsWith('$') === true) problems.push(`There is no tenant '${tenant}'.`);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    from: from ?? '',
    to: to ?? '',
    tenant: tenant ?? TENANT_DEFAULT,
    isVerifyOnly: values.get('verify-only')?.at(-1) === 'true',
  };
}
