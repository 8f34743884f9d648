/** Which scope each operation needs, in one table: it is made from the table of operations that are served. */

import { toServedOperations } from '../schemas/openapi-document.ts';
import type { Operation } from '../schemas/operation.ts';
import type { KeyScope } from './key-scopes.ts';

/** Operations that ask a model, or make a run go on: those cost something. A search asks the embedding model. */
const RUN_OPERATIONS: ReadonlySet<string> = new Set([
  'createThreadAndRun',
  'createRun',
  'submitToolOuputsToRun',
  'cancelRun',
  'createChatCompletion',
  'createEmbedding',
  'searchVectorStore',
]);

/** What is handed through to a model's provider (`routes/passed-through.ts`), whatever it is. */
const PASSED_THROUGH = /^\/v1\/(completions|moderations|batches|(images|audio|fine_tuning|batches)\/.*)$/;

/** Answered without a key. */
const OPEN: ReadonlySet<string> = new Set(['/v1/health']);

export interface OperationScopes {
  /** `route` as the router has it: `/v1/threads/:thread_id`. What is not known needs everything. */
  find(method: string, route: string): KeyScope;
  /** Those of the server's routes below `/v1` that have no scope: there must be none. */
  findForgotten(routes: readonly { readonly method: string; readonly path: string }[]): string[];
}

export function createOperationScopes(): OperationScopes {
  const scopes = new Map<string, KeyScope>();
  const routes = new Set<string>();
  for (const [id, operation] of toServedOperations()) {
    const route = toRoute(operation);
    routes.add(route);
    scopes.set(`${operation.method} ${route}`, toScope(id, operation));
  }
  const knows = (method: string, route: string): boolean =>
    PASSED_THROUGH.test(route) ||
    (method === 'ALL' ? routes.has(route) : scopes.has(`${method === 'HEAD' ? 'GET' : method} ${route}`));
  return {
    findForgotten: (given) =>
      given
        .filter(({ method, path }) => path.startsWith('/v1/') && !OPEN.has(path) && method !== 'OPTIONS')
        .filter(({ method, path }) => !knows(method, path))
        .map(({ method, path }) => `${method} ${path}`),
    find(method, route) {
      if (PASSED_THROUGH.test(route)) return 'run';
      // The answer to HEAD is that to GET, without its body.
      const found = scopes.get(`${method === 'HEAD' ? 'GET' : method} ${route}`);
      if (found !== undefined) return found;
      // A method that the route does not have is about to be refused, whoever asks.
      return routes.has(route) ? 'read' : 'admin';
    },
  };
}

function toScope(id: string, { method }: Operation): KeyScope {
  if (RUN_OPERATIONS.has(id)) return 'run';
  return method === 'GET' ? 'read' : 'write';
}

/** As the router has it; names of models hold slashes. */
function toRoute({ path }: Operation): string {
  return `/v1${path}`.replace('/models/{model}', '/models/*').replaceAll(/\{(\w+)\}/g, ':$1');
}
