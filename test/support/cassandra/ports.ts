/** Ports that nobody listens on. */

import { createServer } from 'node:net';

/**
 * Below those that systems give to outgoing connections: a driver that keeps trying to reach a killed node could else
 * be given the node's very port, and would then be talking to itself.
 */
const PORT_MIN = 20_000;
const PORT_MAX = 31_999;
const TRIES_MAX = 100;

/** Another process may take a port between the answer and its use: whoever uses it must expect that. */
export async function findFreePorts(host: string, count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; tries < TRIES_MAX && found.size < count; tries++) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN + 1));
    if (await isFree(host, port)) found.add(port);
  }
  if (found.size < count) throw new Error(`found no ${count} free ports on ${host} in ${TRIES_MAX} tries`);
  return [...found];
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(true)));
  });
}
