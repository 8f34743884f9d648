/** `/v1/files`. */

import type { Elysia } from 'elysia';
import { CreateFileRequest } from '../schemas/generated/files.ts';
import { getFile, toFile } from '../services/file-records.ts';
import { createFile, deleteFile, listFiles } from '../services/files.ts';
import { toListObject, toPageRequest } from '../services/lists.ts';
import { toContentResponse } from './file-content.ts';
import { toUnsupportedMethod } from './manners.ts';
import { receiveForm } from './multipart.ts';
import { hasAstraToken, readQuery, toHeaders } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

/** As at OpenAI: a page is everything, as a rule. */
const FILE_LIST_LIMITS = Object.freeze({ fallback: 10_000, max: 10_000 });

export function registerFiles(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/files',
      ({ request }) => {
        const scope = deps.authenticate(request);
        const form = {
          tenant: scope.tenant,
          blob: deps.ids.create('file'),
          fileField: 'file',
          fileBytesMax: deps.fileBytesMax,
        };
        const embedding = deps.embedders.readNamed(toHeaders(request));
        return receiveForm(deps, request, form, async ({ file, body }, draft) => {
          const checked = deps.validator.parse(CreateFileRequest, body);
          const record = await createFile(deps, scope, draft, { ...file, embedding }, checked);
          // It will go into a vector store, as a rule.
          if (record.purpose === 'assistants' || record.purpose === 'user_data') deps.ingests.warm();
          return toFile(record, hasAstraToken(request));
        });
      },
      { parse: 'none' },
    )
    .get('/v1/files', async ({ request }) => {
      const query = readQuery(request);
      const page = toPageRequest(query, FILE_LIST_LIMITS);
      const scope = deps.authenticate(request);
      const files = await listFiles(deps, scope, page, query.get('purpose') || null);
      return toListObject(files, (record) => toFile(record, hasAstraToken(request)));
    })
    .get('/v1/files/:file_id', async ({ request, params }) =>
      toFile(await getFile(deps, deps.authenticate(request), params.file_id), hasAstraToken(request)),
    )
    .delete('/v1/files/:file_id', ({ request, params }) =>
      deleteFile(deps, deps.authenticate(request), params.file_id),
    )
    // Not `get`, for which Elysia would answer HEAD by itself: it reads the bytes to count them.
    .all(
      '/v1/files/:file_id/content',
      async ({ request, params, set }) => {
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          set.headers.allow = 'GET, HEAD';
          throw toUnsupportedMethod(request);
        }
        const scope = deps.authenticate(request);
        return toContentResponse(deps, scope, await getFile(deps, scope, params.file_id), request);
      },
      { parse: 'none' },
    );
}
