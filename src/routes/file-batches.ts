/** `/v1/vector_stores/{vector_store_id}/file_batches`. */

import type { Elysia } from 'elysia';
import { toFileBatch, toVectorStoreFile } from '../retrieval/vector-store-records.ts';
import { CreateVectorStoreFileBatchRequest } from '../schemas/generated/vector-stores.ts';
import { cancelFileBatch, createFileBatch, getFileBatch } from '../services/file-batches.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { listVectorStoreFiles, toStatusFilter } from '../services/vector-store-files.ts';
import { hintPolling, readBody, readQuery, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

const BATCH = '/v1/vector_stores/:vector_store_id/file_batches/:batch_id';

export function registerFileBatches(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/vector_stores/:vector_store_id/file_batches',
      async ({ request, params, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, CreateVectorStoreFileBatchRequest);
        return toFileBatch(await createFileBatch(deps, caller, params.vector_store_id, body));
      },
      { parse: 'none' },
    )
    .get(BATCH, async ({ request, params, set }) => {
      hintPolling(set);
      const scope = deps.authenticate(request);
      return toFileBatch((await getFileBatch(deps, scope, params.vector_store_id, params.batch_id)).record);
    })
    .post(
      `${BATCH}/cancel`,
      async ({ request, params }) => {
        const scope = deps.authenticate(request);
        return toFileBatch(await cancelFileBatch(deps, scope, params.vector_store_id, params.batch_id));
      },
      { parse: 'none' },
    )
    .get(`${BATCH}/files`, async ({ request, params }) => {
      const { vector_store_id: storeId, batch_id: batchId } = params;
      const query = readQuery(request);
      const page = toPageRequest(query);
      const scope = deps.authenticate(request);
      await getFileBatch(deps, scope, storeId, batchId);
      const where = { ...toStatusFilter(query.get('filter')), batch_id: batchId };
      return toListObject(await listVectorStoreFiles(deps, scope, storeId, page, where), toVectorStoreFile);
    });
}
