/** Scripts that explain themselves: `npm run help` has all of them, and each file says what it is. */

import { expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SCRIPTS, toHelpText } from '../../scripts/help.mjs';

const ROOT = resolve(import.meta.dir, '../..');
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const commands: Readonly<Record<string, string>> = MANIFEST.scripts;
const LINE_CHARACTERS_MAX = 160;

test('help has every script of package.json, in its order, and none that is gone', () => {
  expect(Object.keys(SCRIPTS)).toEqual(Object.keys(commands));
});

test('each script has one line, with what it does and how long it takes', () => {
  const lines = toHelpText().trimEnd().split('\n');
  expect(lines).toHaveLength(Object.keys(commands).length);
  for (const line of lines) {
    expect(line.length, line).toBeLessThanOrEqual(LINE_CHARACTERS_MAX);
    expect(line).toMatch(/^ {2}npm run \S+ +[A-Z].+ \(.+\)\.$/);
  }
});

test('what a script starts is there, and begins with what it is', () => {
  for (const [name, command] of Object.entries(commands)) {
    const missing = findPrograms(command).filter((file) => !existsSync(join(ROOT, file)));
    expect({ name, count: findPrograms(command).length > 0, missing }).toEqual({
      name,
      count: true,
      missing: [],
    });
  }
  const starters = readdirSync(join(ROOT, 'scripts')).filter((name) => name.endsWith('.mjs'));
  const files = [
    ...starters.map((name) => `scripts/${name}`),
    ...Object.values(commands).flatMap(findPrograms),
  ];
  for (const file of files) expect(readFileSync(join(ROOT, file), 'utf8'), file).toStartWith('/**');
});

function findPrograms(command: string): string[] {
  return command.split(' ').filter((word) => /^(?:scripts|bench|src)\/.*\.(?:mjs|ts)$/.test(word));
}

test('CONTRIBUTING.md and the pages name no script that is not there', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
  ];
  for (const page of pages.filter((name) => name.endsWith('.md'))) {
    for (const [, name = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(
      /`npm run (?:--silent )?([\w:-]+)/g,
    )) {
      expect({ page, name, isThere: name in commands }).toEqual({ page, name, isThere: true });
    }
  }
});
