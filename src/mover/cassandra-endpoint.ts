/** A keyspace of a cluster as one end of a copy. */

import { systemClock } from '../clock.ts';
import { openEngines } from '../compose-store.ts';
import { createLog } from '../log.ts';
import { VERSION } from '../version.ts';
import { type EndpointEnvironment, EndpointError, type FoundEndpoint } from './endpoint.ts';

const DEFAULT_PORT = 9042;

/**
 * `text` is `host[:port][,host…]/keyspace`; role, password, TLS, consistency and replication are as the configuration says.
 * Errors: `EndpointError`, `ConfigError`.
 */
export function findCassandraEndpoint(text: string, env: EndpointEnvironment): FoundEndpoint {
  const slash = text.lastIndexOf('/');
  const hosts = text
    .slice(0, Math.max(slash, 0))
    .split(',')
    .filter((host) => host !== '');
  const keyspace = slash < 0 ? '' : text.slice(slash + 1);
  if (hosts.length === 0 || keyspace === '') {
    throw new EndpointError(
      `'cassandra:${text}' names no hosts and keyspace: write cassandra:10.0.0.5/understudy.`,
    );
  }
  const { cassandra } = env.readConfig([
    '--store=cassandra',
    ...hosts.map((host) => `--cassandra-contact-points=${host}`),
    `--cassandra-keyspace=${keyspace}`,
  ]);
  if (cassandra === null) throw new Error('The configuration has no cluster.');
  const name = `cassandra:${hosts.map(toFullHost).sort().join(',')}/${keyspace}`;
  return {
    name,
    async open() {
      const cluster = { ...cassandra, password: cassandra.password?.reveal() ?? null };
      const deps = {
        clock: systemClock,
        log: createLog('silent', () => {}),
        version: VERSION,
        onLost: () => {},
      };
      const engines = await openEngines({ engine: 'cassandra', cluster }, deps);
      return { name, ...engines };
    },
  };
}

/** So that two ways of writing a host are one. */
function toFullHost(host: string): string {
  const lower = host.toLowerCase();
  return /:\d+$/.test(lower) ? lower : `${lower}:${DEFAULT_PORT}`;
}
