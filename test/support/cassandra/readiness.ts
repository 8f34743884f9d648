/** When a node that has just been started can be used. */

import { connect } from 'node:net';
import type { Client } from 'cassandra-driver';

const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 50;
/** The driver has no bound of its own over all that it does to connect. */
const QUERY_TIMEOUT_MS = 15_000;

export interface Starting {
  readonly host: string;
  readonly port: number;
  /** How its process ended; null as long as it runs. */
  ended(): string | null;
  createClient(): Client;
}

/** Errors: that it has ended, or that it did not answer within two minutes and what it answered last. */
export async function waitUntilAnswering(node: Starting): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  await pollUntil(node, deadline, async () => (await isOpen(node.host, node.port)) || 'its port is closed');
  // The first user is made only after the port is open, and logins fail until then.
  await pollUntil(node, deadline, () => query(node));
}

/** `check` answers what is not well yet. */
async function pollUntil(
  node: Starting,
  deadline: number,
  check: () => Promise<true | string>,
): Promise<void> {
  for (;;) {
    const answer = await check();
    if (answer === true) return;
    const end = node.ended();
    if (end !== null) throw new Error(`Cassandra has ended (${end}) before it answered a query:`);
    if (performance.now() > deadline) {
      throw new Error(`Cassandra did not answer a query within ${READY_TIMEOUT_MS} ms (${answer}):`);
    }
    await Bun.sleep(POLL_MS);
  }
}

export function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host, port });
    const finish = (answer: boolean): void => {
      socket.destroy();
      done(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
    socket.setTimeout(QUERY_TIMEOUT_MS, () => finish(false));
  });
}

async function query({ createClient }: Starting): Promise<true | string> {
  const client = createClient();
  const bound = Promise.withResolvers<never>();
  const timer = setTimeout(() => bound.reject(new Error('no answer to a query')), QUERY_TIMEOUT_MS);
  try {
    await Promise.race([client.execute('SELECT release_version FROM system.local'), bound.promise]);
    return true;
  } catch (error) {
    return toReason(error);
  } finally {
    clearTimeout(timer);
    // A connection that never came about cannot be closed in time either.
    void client.shutdown().catch(() => undefined);
  }
}

/** The driver hides the cause in a record by host. */
function toReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner =
    'innerErrors' in error && error.innerErrors instanceof Object ? Object.values(error.innerErrors) : [];
  return [error.message, ...inner.map(String)].join('; ');
}
