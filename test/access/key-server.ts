/** A real server that lets in by keys, and keys for it: made in its store, as `understudy keys` does. */

import { createKey } from '../../src/access/key-format.ts';
import { type KeyRecord, NO_KEY_LIMITS, type ProjectLimits } from '../../src/access/key-records.ts';
import { createProjectKey, limitProject, type NewKey, revokeKey } from '../../src/access/keys.ts';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { type ServerOptions, startServer, type TestServer, waitUntil } from '../support/server.ts';
import { useStore } from '../support/stored.ts';

export interface KeyServer extends TestServer {
  /** Default: the project `alpha`, all that a key has unless told otherwise. */
  createKey(given?: Partial<NewKey>): Promise<{ readonly key: string; readonly record: KeyRecord }>;
  revokeKey(id: string): Promise<void>;
  limitProject(name: string, limits: Partial<ProjectLimits>): Promise<void>;
  /** As `call`, with a key. */
  callAs(key: string, ...args: Parameters<TestServer['call']>): ReturnType<TestServer['call']>;
}

export async function startKeyServer(options: ServerOptions = {}): Promise<KeyServer> {
  const server = await startServer({ ...options, flags: ['--auth', 'keys', ...(options.flags ?? [])] });
  await waitUntil('all workers serve', () => server.output().includes('"event":"started"'), 30_000);
  const ids = createIds(systemClock);
  const use = <T>(work: (deps: Parameters<typeof createProjectKey>[0]) => Promise<T>): Promise<T> =>
    useStore(server.dataDirectory, (store) => work({ store, clock: systemClock, ids }));
  return {
    ...server,
    createKey: (given) =>
      use((deps) =>
        createProjectKey(deps, {
          project: 'alpha',
          scopes: ['read', 'write', 'run'],
          expiresInMs: null,
          limits: NO_KEY_LIMITS,
          ...given,
        }),
      ),
    async revokeKey(id) {
      await use((deps) => revokeKey(deps, id));
    },
    async limitProject(name, limits) {
      await use((deps) => limitProject(deps, name, limits));
    },
    callAs: (key, method, path, body, headers) =>
      server.call(method, path, body, { authorization: `Bearer ${key}`, ...headers }),
  };
}

/** A key that looks right, and is nobody's. */
export function makeStrangeKey(): string {
  return createKey(createIds(systemClock).create('api_key')).key;
}
