import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renewPage } from '../../scripts/docs/configuration.ts';
import { SETTING_NAMES, SETTINGS, toVariable } from '../../src/config/settings.ts';

const page = await readFile(join(import.meta.dir, '../../docs/configuration.md'), 'utf8');

test('the tables of the documentation are what the code reads: `npm run docs` writes them', () => {
  expect(page).toBe(renewPage(page));
});

test('every setting stands there with its flag, its variable and its default', () => {
  for (const name of SETTING_NAMES) {
    const { flag, fallback } = SETTINGS[name];
    const row = page.split('\n').find((line) => line.includes(`| \`${toVariable(flag)}\``));
    expect(row).toContain(`--${flag}`);
    if (typeof fallback === 'number') expect(row).toContain(`\`${fallback}\``);
  }
});

test('a page that lost the place of a table is told of', () => {
  expect(() => renewPage(page.replace('<!-- end of secrets -->', ''))).toThrow('secrets');
});
