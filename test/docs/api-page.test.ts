import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renewApiPage } from '../../scripts/docs/api.ts';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';

const page = await readFile(join(import.meta.dir, '../../docs/api.md'), 'utf8');

test('the reference is what the server checks requests with: `npm run docs` writes it', () => {
  expect(page).toBe(renewApiPage(page));
});

test('every operation stands there with its method, its path and its parameters', () => {
  for (const [id, { method, path, parameters }] of toServedOperations()) {
    const [, text = ''] = page.split(`### ${id}\n`);
    const section = text.slice(0, text.indexOf('\n### '));
    expect(section).toContain(`\`${method} /v1${path}\``);
    for (const { name } of parameters) expect(section, id).toContain(`| \`${name}\``);
  }
});

test('a body has its fields, those within others too, with their types and bounds', () => {
  const [, text = ''] = page.split('### createAssistant\n');
  const section = text.slice(0, text.indexOf('\n### ')).replaceAll(/ +/g, ' ');
  expect(section).toContain('| `model` | text | yes |');
  expect(section).toContain('| `name` | text (at most 256 characters) or null | |');
  expect(section).toContain('| `tool_resources.file_search.vector_store_ids` | list of text');
});

test('a page that lost the place of its tables is told of', () => {
  expect(() => renewApiPage('# Reference')).toThrow('no place');
});
