/** `/v1/uploads`. */

import type { Elysia } from 'elysia';
import {
  AddUploadPartRequest,
  CompleteUploadRequest,
  CreateUploadRequest,
} from '../schemas/generated/uploads.ts';
import { PART_BYTES_MAX } from '../services/upload-records.ts';
import { addPart, cancelUpload, checkTakesParts, completeUpload, createUpload } from '../services/uploads.ts';
import { receiveForm } from './multipart.ts';
import { hasAstraToken, readBody, toHeaders } from './request.ts';
import type { RouteDeps } from './route-deps.ts';

export function registerUploads(app: Elysia, deps: RouteDeps): void {
  app
    .post(
      '/v1/uploads',
      async ({ request }) => {
        const scope = deps.authenticate(request);
        const body = await readBody(deps, request, CreateUploadRequest);
        return createUpload(deps, scope, body, deps.embedders.readNamed(toHeaders(request)));
      },
      { parse: 'none' },
    )
    .post(
      '/v1/uploads/:upload_id/parts',
      async ({ request, params }) => {
        const scope = deps.authenticate(request);
        await checkTakesParts(deps, scope, params.upload_id);
        const form = {
          tenant: scope.tenant,
          blob: deps.ids.create('part'),
          fileField: 'data',
          fileBytesMax: PART_BYTES_MAX,
        };
        return receiveForm(deps, request, form, ({ body }, draft) => {
          deps.validator.parse(AddUploadPartRequest, body);
          return addPart(deps, scope, params.upload_id, draft);
        });
      },
      { parse: 'none' },
    )
    .post(
      '/v1/uploads/:upload_id/complete',
      async ({ request, params }) => {
        const scope = deps.authenticate(request);
        const body = await readBody(deps, request, CompleteUploadRequest);
        const embedding = deps.embedders.readNamed(toHeaders(request));
        const asked = { embedding, showsAll: hasAstraToken(request) };
        // A checksum over gigabytes takes its time.
        const release = deps.holdOpen(request);
        return completeUpload(deps, scope, params.upload_id, body, asked).finally(release);
      },
      { parse: 'none' },
    )
    .post(
      '/v1/uploads/:upload_id/cancel',
      ({ request, params }) => cancelUpload(deps, deps.authenticate(request), params.upload_id),
      { parse: 'none' },
    );
}
