/** Pictures that messages name by file: what the model gets of them. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { IMAGE_BYTES_MAX, IMAGES_MAX, type ReadImage } from '../../src/runs/images.ts';
import * as steps from '../support/upstream-steps.ts';
import { type EngineFixture, startEngineFixture } from './engine-fixture.ts';

const PICTURE = 'data:image/png;base64,iVBORw0KGgo=';

let fixture: EngineFixture;
const reads: string[] = [];

const readImage: ReadImage = async (tenant, fileId, bytesMax) => {
  reads.push(`${tenant} ${fileId} ${bytesMax}`);
  return fileId.includes('gone') ? null : PICTURE;
};

beforeAll(async () => {
  fixture = await startEngineFixture({ readImage });
});

afterAll(() => fixture.stop());

function toImage(fileId: string, detail?: 'low' | 'high') {
  return {
    type: 'image_file' as const,
    image_file: { file_id: fileId, ...(detail === undefined ? {} : { detail }) },
  };
}

const toText = (value: string) => ({ type: 'text' as const, text: { value, annotations: [] } });
const NO_TOOLS = { tools: [] };

test('a picture goes to the model as a data URL, with its detail, in its place between the words', async () => {
  const model = fixture.upstream.script('images', [steps.say('Nice')]);
  const words = [[toText('Look'), toImage('file-a', 'low'), toText('and'), toImage('file-b')]];
  const { run } = await fixture.ask(model, { words, run: NO_TOOLS });
  expect(run.status).toBe('completed');
  expect(fixture.toBodies(model)[0]?.messages).toEqual([
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Look' },
        { type: 'image_url', image_url: { url: PICTURE, detail: 'low' } },
        { type: 'text', text: 'and' },
        { type: 'image_url', image_url: { url: PICTURE, detail: 'auto' } },
      ],
    },
  ]);
  expect(reads).toContain(`test file-a ${IMAGE_BYTES_MAX}`);
});

test('a file that is gone is told of in words', async () => {
  const model = fixture.upstream.script('images-gone', [steps.say('Sad')]);
  const words = [[toText('Look'), toImage('file-gone')]];
  const { run } = await fixture.ask(model, { words, run: NO_TOOLS });
  expect(run.status).toBe('completed');
  expect(fixture.toBodies(model)[0]?.messages[0]?.content).toEqual([
    { type: 'text', text: 'Look' },
    { type: 'text', text: '[The picture of the file file-gone cannot be shown.]' },
  ]);
});

test('of many pictures the newest are shown, and each is read once', async () => {
  const model = fixture.upstream.script('images-many', [steps.say('Many')]);
  const words = Array.from({ length: IMAGES_MAX + 2 }, (_, at) => [toImage(`file-many-${at}`)]);
  reads.length = 0;
  await fixture.ask(model, { words, run: NO_TOOLS });
  const sent = fixture.toBodies(model)[0]?.messages.map(({ content }) => JSON.stringify(content)) ?? [];
  expect(sent.map((content) => content.includes(PICTURE))).toEqual(words.map((_, at) => at >= 2));
  expect(reads).toHaveLength(IMAGES_MAX);
  expect(new Set(reads).size).toBe(IMAGES_MAX);
});
