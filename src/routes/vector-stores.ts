/** `/v1/vector_stores` and the search in one. */

import type { Elysia } from 'elysia';
import { toVectorStore } from '../retrieval/vector-store-records.ts';
import {
  CreateVectorStoreRequest,
  UpdateVectorStoreRequest,
  VectorStoreSearchRequest,
} from '../schemas/generated/vector-stores.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { getVectorStore } from '../services/vector-store-access.ts';
import { searchVectorStore } from '../services/vector-store-search.ts';
import {
  createVectorStore,
  deleteVectorStore,
  listVectorStores,
  modifyVectorStore,
} from '../services/vector-stores.ts';
import { readBody, readQuery, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

/** Says by what was searched: `hybrid`, `vector` or `keyword`. */
const MODE_HEADER = 'x-understudy-search-mode';
/** Says why the vectors were left out. */
const WARNING_HEADER = 'x-understudy-search-warning';

export function registerVectorStores(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/vector_stores',
      async ({ request, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, CreateVectorStoreRequest);
        return toVectorStore(await createVectorStore(deps, caller, body), deps.clock);
      },
      { parse: 'none' },
    )
    .get('/v1/vector_stores', async ({ request }) => {
      const page = toPageRequest(readQuery(request));
      const found = await listVectorStores(deps, deps.authenticate(request), page);
      return toListObject(found, (record) => toVectorStore(record, deps.clock));
    })
    .get('/v1/vector_stores/:vector_store_id', async ({ request, params }) => {
      const { record } = await getVectorStore(deps, deps.authenticate(request), params.vector_store_id);
      return toVectorStore(record, deps.clock);
    })
    .post(
      '/v1/vector_stores/:vector_store_id',
      async ({ request, params }) => {
        const scope = deps.authenticate(request);
        const body = await readBody(deps, request, UpdateVectorStoreRequest);
        return toVectorStore(await modifyVectorStore(deps, scope, params.vector_store_id, body), deps.clock);
      },
      { parse: 'none' },
    )
    .delete('/v1/vector_stores/:vector_store_id', ({ request, params }) =>
      deleteVectorStore(deps, deps.authenticate(request), params.vector_store_id),
    )
    .post(
      '/v1/vector_stores/:vector_store_id/search',
      async ({ request, params, set }) => {
        const asking = toCaller(deps, request, set);
        const caller = { ...asking, keyId: asking.key?.id ?? null, signal: request.signal };
        const body = await readBody(deps, request, VectorStoreSearchRequest);
        const { page, mode, warning } = await searchVectorStore(deps, caller, params.vector_store_id, body);
        set.headers[MODE_HEADER] = mode;
        if (warning !== null) set.headers[WARNING_HEADER] = toHeaderText(warning);
        return page;
      },
      { parse: 'none' },
    );
}

const HEADER_LENGTH_MAX = 500;

/** Headers hold printable ASCII. */
function toHeaderText(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, HEADER_LENGTH_MAX);
}
