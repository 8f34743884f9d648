/** What the driver's errors mean to a store. */

import { errors, types } from 'cassandra-driver';
import { StoreError } from '../store/store.ts';

const { responseErrorCodes: CODES } = types;

/** Answers of a cluster that cannot do now what it can do at other times. */
const TRANSIENT_CODES: ReadonlySet<number> = new Set([
  CODES.unavailableException,
  CODES.overloaded,
  CODES.isBootstrapping,
  CODES.writeTimeout,
  CODES.readTimeout,
  CODES.readFailure,
  CODES.writeFailure,
  CODES.serverError,
  // `CAS_WRITE_UNKNOWN` of protocol 5.
  0x1700,
]);

/** Whether the same call may do well a little later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof errors.NoHostAvailableError) return !isRefusal(error);
  if (error instanceof errors.OperationTimedOutError || error instanceof errors.BusyConnectionError) {
    return true;
  }
  if (error instanceof errors.ResponseError) return TRANSIENT_CODES.has(error.code);
  // The driver throws plain errors of sockets: a connection that was closed amid a call.
  return error instanceof Error && /socket|connection|ECONN|EPIPE/i.test(error.message);
}

/** Hosts that answer, but do not let us in. */
function isRefusal(error: errors.NoHostAvailableError): boolean {
  const causes = toInnerErrors(error);
  return (
    causes.length > 0 &&
    causes.every(
      (cause) =>
        cause instanceof errors.AuthenticationError ||
        (cause instanceof errors.ResponseError && !TRANSIENT_CODES.has(cause.code)),
    )
  );
}

export function toInnerErrors(error: unknown): readonly unknown[] {
  if (!(error instanceof errors.NoHostAvailableError)) return [];
  const inner: unknown = error.innerErrors;
  if (typeof inner !== 'object' || inner === null) return [];
  return Object.values(inner);
}

/** Throws what went wrong in the words of the store port. */
export function rethrow(error: unknown): never {
  if (error instanceof StoreError) throw error;
  if (isTransient(error)) {
    throw new StoreError('unavailable', 'The Cassandra cluster does not answer now.', { cause: error });
  }
  throw error;
}

/** One line that says what an operator can do about it; no password or token is in it. */
export function describeFailure(error: unknown): string {
  const causes = toInnerErrors(error);
  const first = causes.find((cause) => cause instanceof Error) ?? error;
  return first instanceof Error ? first.message : String(first);
}
