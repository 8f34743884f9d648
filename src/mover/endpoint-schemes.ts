/** What a store is called on the command line, and which engine that is. */

import { findCassandraEndpoint } from './cassandra-endpoint.ts';
import {
  type EndpointEnvironment,
  EndpointError,
  type EndpointRole,
  type FoundEndpoint,
} from './endpoint.ts';
import { findSqliteEndpoint } from './sqlite-endpoint.ts';

interface Scheme {
  readonly form: string;
  /** Looks, and opens nothing. `rest` is what follows the colon. Errors: `EndpointError`. */
  find(rest: string, role: EndpointRole, env: EndpointEnvironment): FoundEndpoint;
}

/** An engine joins here. */
const SCHEMES: Readonly<Record<string, Scheme>> = Object.freeze({
  sqlite: { form: 'sqlite:DIRECTORY', find: (rest, role) => findSqliteEndpoint(rest, role) },
  cassandra: {
    form: 'cassandra:HOST[:PORT][,HOST…]/KEYSPACE',
    find: (rest, _role, env) => findCassandraEndpoint(rest, env),
  },
});

/** Errors: `EndpointError`. */
export function findEndpoint(text: string, role: EndpointRole, env: EndpointEnvironment): FoundEndpoint {
  const colon = text.indexOf(':');
  const name = colon < 0 ? '' : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  const scheme = Object.hasOwn(SCHEMES, name) ? SCHEMES[name] : undefined;
  if (scheme === undefined || rest === '') {
    const forms = Object.values(SCHEMES).map(({ form }) => form);
    throw new EndpointError(`'${text}' names no store: write ${forms.join(' or ')}.`);
  }
  return scheme.find(rest, role, env);
}
