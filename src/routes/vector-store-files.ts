/** `/v1/vector_stores/{vector_store_id}/files`. */

import type { Elysia } from 'elysia';
import { toVectorStoreFile } from '../retrieval/vector-store-records.ts';
import {
  CreateVectorStoreFileRequest,
  UpdateVectorStoreFileAttributesRequest,
} from '../schemas/generated/vector-stores.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { readContent } from '../services/vector-store-content.ts';
import {
  createVectorStoreFile,
  deleteVectorStoreFile,
  getVectorStoreFile,
  listVectorStoreFiles,
  modifyVectorStoreFile,
  toStatusFilter,
} from '../services/vector-store-files.ts';
import { hintPolling, readBody, readQuery, toCaller } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerVectorStoreFiles(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/vector_stores/:vector_store_id/files',
      async ({ request, params, set }) => {
        const caller = toCaller(deps, request, set);
        const body = await readBody(deps, request, CreateVectorStoreFileRequest);
        return toVectorStoreFile(await createVectorStoreFile(deps, caller, params.vector_store_id, body));
      },
      { parse: 'none' },
    )
    .get('/v1/vector_stores/:vector_store_id/files', async ({ request, params }) => {
      const query = readQuery(request);
      const page = toPageRequest(query);
      const where = toStatusFilter(query.get('filter'));
      const scope = deps.authenticate(request);
      const found = await listVectorStoreFiles(deps, scope, params.vector_store_id, page, where);
      return toListObject(found, toVectorStoreFile);
    })
    .get('/v1/vector_stores/:vector_store_id/files/:file_id', async ({ request, params, set }) => {
      hintPolling(set);
      const scope = deps.authenticate(request);
      const { record } = await getVectorStoreFile(deps, scope, params.vector_store_id, params.file_id);
      return toVectorStoreFile(record);
    })
    .post(
      '/v1/vector_stores/:vector_store_id/files/:file_id',
      async ({ request, params }) => {
        const scope = deps.authenticate(request);
        const { attributes } = await readBody(deps, request, UpdateVectorStoreFileAttributesRequest);
        const { vector_store_id: storeId, file_id: fileId } = params;
        return toVectorStoreFile(await modifyVectorStoreFile(deps, scope, storeId, fileId, attributes));
      },
      { parse: 'none' },
    )
    .delete('/v1/vector_stores/:vector_store_id/files/:file_id', ({ request, params }) =>
      deleteVectorStoreFile(deps, deps.authenticate(request), params.vector_store_id, params.file_id),
    )
    .get('/v1/vector_stores/:vector_store_id/files/:file_id/content', ({ request, params }) =>
      readContent(deps, deps.authenticate(request), params.vector_store_id, params.file_id),
    );
}
