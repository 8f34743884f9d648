/** Who may read the numbers of a server whose tenants are nobody that it knows: its own machine. */

import { createAddressCheck } from '../access/addresses.ts';
import { ApiError } from '../errors.ts';

const LOOPBACK = ['127.0.0.0/8', '::1'];

/** `findAddress`: the other end of the request's connection, never what a header says. Errors: 403. */
export function createLocalAccess(
  findAddress: (request: Request) => string | null,
): (request: Request) => void {
  const isLocal = createAddressCheck(LOOPBACK);
  return (request) => {
    if (isLocal(findAddress(request) ?? '')) return;
    throw new ApiError('permission_denied', 'The metrics of this server are only for its own machine.');
  };
}
