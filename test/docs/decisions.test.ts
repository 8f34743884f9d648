/** Records of decisions: each says why, what it costs, what else was looked at and what would change it, and is on the list and on the site. */

import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeSite } from '../../scripts/site/build.ts';
import { ROOT } from '../../scripts/site/pages.ts';

const FOLDER = join(ROOT, 'docs/decisions');
const LINES_MAX = 60;
const PARTS = ['Context', 'Decision', 'Consequences', 'Considered', 'What would change it'];

const records = readdirSync(FOLDER)
  .filter((name) => /^\d{4}-/.test(name))
  .sort()
  .map((name) => ({ name, text: readFileSync(join(FOLDER, name), 'utf8') }));

test('records are numbered without a gap', () => {
  const numbers = records.map(({ name }) => Number(name.slice(0, 4)));
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  expect(numbers.length).toBeGreaterThanOrEqual(10);
});

test('each has its state and day, and all its parts, on less than a page', () => {
  for (const { name, text } of records) {
    expect({ name, parts: [...text.matchAll(/^## (.+)$/gm)].map(([, part]) => part) }).toEqual({
      name,
      parts: PARTS,
    });
    expect({
      name,
      state: /^# .+\n\n(?:Accepted|Replaced by \[.+\]\(.+\)), \d{4}-\d{2}\.\n/.test(text),
    }).toEqual({ name, state: true });
    expect(text.split('\n').length, name).toBeLessThan(LINES_MAX);
  }
});

test('the list has each under its title', () => {
  const list = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  const rows = [...list.matchAll(/^\| \[\d+\]\(([^)]+)\) *\| (.+?) *\|$/gm)].map(([, file, title]) => [
    file,
    title,
  ]);
  expect(rows).toEqual(records.map(({ name, text }) => [name, text.slice(2, text.indexOf('\n'))]));
});

test('the site has all of them, and its navigation their list alone', () => {
  const site = makeSite();
  const readPage = (path: string): string => {
    const page = site.get(path);
    return page !== undefined && 'text' in page ? page.text : '';
  };
  for (const { name } of records) {
    expect(readPage(`/docs/decisions/${name.replace(/\.md$/, '')}`), name).toContain(
      'href="/docs/decisions"',
    );
  }
  expect(readPage('/docs')).not.toContain('/docs/decisions/0');
  expect(readPage('/docs/decisions')).toContain('href="/docs/decisions/0009-no-code-interpreter"');
});
