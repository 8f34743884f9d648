/** Files and uploads, but the deletion of files. */

import { toFile } from 'openai';
import type { Check, CheckContext } from '../check.ts';
import { expect, NotThere, need } from '../outcome.ts';

/** In the file, and in no question: an answer with it has read the file. */
export const HOUSE_RULES =
  '# House rules\n\nGuests may check in from 3 pm. Breakfast is served until 10 am.\n';

export const FILE_CHECKS: readonly Check[] = Object.freeze([
  {
    group: 'files',
    operation: 'createFile',
    async run({ client, made, tag }) {
      const file = await client.files.create({
        file: await toFile(new TextEncoder().encode(HOUSE_RULES), toFilename(tag, 'rules')),
        purpose: 'assistants',
      });
      made.fileId = file.id;
      expect(file.bytes === HOUSE_RULES.length, `it has ${file.bytes} bytes, not ${HOUSE_RULES.length}`);
    },
  },
  {
    group: 'files',
    operation: 'retrieveFile',
    async run(context) {
      const file = await context.client.files.retrieve(needFile(context));
      expect(file.filename === toFilename(context.tag, 'rules'), `its name is ${file.filename}`);
    },
  },
  {
    group: 'files',
    operation: 'listFiles',
    async run(context) {
      const id = needFile(context);
      const page = await context.client.files.list({ purpose: 'assistants', order: 'desc', limit: 100 });
      expect(
        page.data.some((file) => file.id === id),
        'it lacks the file',
      );
    },
  },
  {
    group: 'files',
    operation: 'downloadFile',
    async run(context) {
      const id = needFile(context);
      const text = await context.client.files.content(id).then(
        (response) => response.text(),
        (error: unknown) => {
          if (error instanceof Error && /not allowed to download/i.test(error.message)) {
            throw new NotThere('files of this purpose are not handed out');
          }
          throw error;
        },
      );
      expect(text === HOUSE_RULES, 'it is not what was sent');
    },
  },
  {
    group: 'uploads',
    operation: 'createUpload',
    async run({ client, made, tag }) {
      const upload = await createUpload({ client, tag });
      made.uploadId = upload.id;
      expect(upload.status === 'pending', `its status is ${upload.status}`);
    },
  },
  {
    group: 'uploads',
    operation: 'addUploadPart',
    async run({ client, made }) {
      const uploadId = need(made.uploadId, 'createUpload');
      const half = HOUSE_RULES.length / 2;
      const partIds: string[] = [];
      for (const text of [HOUSE_RULES.slice(0, half), HOUSE_RULES.slice(half)]) {
        const data = await toFile(new TextEncoder().encode(text), 'part');
        partIds.push((await client.uploads.parts.create(uploadId, { data })).id);
      }
      made.partIds = partIds;
    },
  },
  {
    group: 'uploads',
    operation: 'completeUpload',
    async run({ client, made }) {
      const uploadId = need(made.uploadId, 'createUpload');
      const upload = await client.uploads.complete(uploadId, {
        part_ids: need(made.partIds, 'addUploadPart'),
      });
      expect(upload.status === 'completed', `its status is ${upload.status}`);
      expect(upload.file?.bytes === HOUSE_RULES.length, `its file has ${upload.file?.bytes} bytes`);
    },
  },
  {
    group: 'uploads',
    operation: 'cancelUpload',
    async run({ client, made, tag }) {
      need(made.uploadId, 'createUpload');
      const { id } = await createUpload({ client, tag });
      const upload = await client.uploads.cancel(id);
      expect(upload.status === 'cancelled', `its status is ${upload.status}`);
    },
  },
] satisfies Check[]);

async function createUpload({ client, tag }: Pick<CheckContext, 'client' | 'tag'>) {
  return await client.uploads.create({
    bytes: HOUSE_RULES.length,
    filename: toFilename(tag, 'upload'),
    mime_type: 'text/markdown',
    purpose: 'assistants',
  });
}

export function needFile({ made }: Pick<CheckContext, 'made'>): string {
  return need(made.fileId, 'createFile');
}

function toFilename(tag: string, name: string): string {
  return `${tag}-${name}.md`;
}
