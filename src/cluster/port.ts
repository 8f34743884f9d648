/**
 * The port that several workers share.
 *
 * Sharing has a trap: whoever binds with the same option joins in, silently, and takes a part of the connections.
 * So the primary first binds the port alone, which fails while anybody has it; and it holds a name among the
 * sockets of this machine, which two primaries cannot hold at once, so that neither slips in between the other's
 * check and its workers. The kernel frees the name when the process ends, however it ends.
 */

import { Misuse } from '../misuse.ts';

export interface ClaimedPort {
  readonly port: number;
  release(): void;
}

/** Port 0 becomes one that the system chose. Throws where somebody else has the port. */
export function claimSharedPort(host: string, wanted: number): ClaimedPort {
  if (process.platform !== 'linux') {
    throw new Misuse('Only Linux lets several workers share a port. Use --balance primary.');
  }
  const port = findFreePort(host, wanted);
  try {
    const name = Bun.listen({ unix: `\0understudy:${host}:${port}`, socket: { data() {} } });
    return { port, release: () => name.stop(true) };
  } catch (cause) {
    throw new Misuse(toInUseText(host, port), { cause });
  }
}

function findFreePort(host: string, wanted: number): number {
  try {
    const listener = Bun.listen({ hostname: host, port: wanted, socket: { data() {} } });
    const { port } = listener;
    listener.stop(true);
    return port;
  } catch (cause) {
    throw toListenError(cause, host, wanted);
  }
}

/** What listening failed with, in words that say what to do; any other error is left as it is. */
export function toListenError(error: unknown, host: string, port: number): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const at = `Cannot listen on ${host}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new Misuse(toInUseText(host, port), { cause: error });
    case 'EADDRNOTAVAIL':
      return new Misuse(`${at}: the address is not of this machine. Choose another with --host.`, {
        cause: error,
      });
    case 'EACCES':
      return new Misuse(`${at}: this user may not have that port. Choose another with --port.`, {
        cause: error,
      });
    default:
      return error;
  }
}

function toInUseText(host: string, port: number): string {
  return `Cannot listen on ${host}:${port}: another program has that port. Choose another with --port.`;
}
