/** How the commands and programs of README.md are read, which scripts/readme.mjs then does as a newcomer would. */

import { expect, test } from 'bun:test';
import { isServer, readBlocks, readChange, readCommands } from '../../scripts/readme/commands.mjs';

test('every command of a block is found, without comments and with lines that go on', () => {
  expect(readCommands('npm start  # why\n\n# nothing\ncurl -s \\\n  http://127.0.0.1/#top\n')).toEqual([
    'npm start',
    'curl -s http://127.0.0.1/#top',
  ]);
});

test('blocks are found with their languages, and one without an end is an error', () => {
  const readme = 'a\n```sh\nnpm start\n```\n```\nplain\n```\n';
  expect(readBlocks(readme)).toEqual([
    { language: 'sh', text: 'npm start\n', line: 3 },
    { language: '', text: 'plain\n', line: 6 },
  ]);
  expect(() => readBlocks('```sh\nnpm start\n')).toThrow('line 2');
});

test('a change has a program before and one after', () => {
  expect(readChange(' a\n-b\n+c\n\n d')).toEqual({ before: 'a\nb\n\nd', after: 'a\nc\n\nd' });
});

test('what serves is told from what ends', () => {
  const serving = [
    'npm start',
    'npm start -- --port 1',
    'dist/understudy --auth keys',
    'dist/understudy serve',
  ];
  const ending = ['npm start -- --help', 'dist/understudy check', 'dist/understudy keys create', 'npm test'];
  expect(serving.filter((command) => !isServer(command))).toEqual([]);
  expect(ending.filter(isServer)).toEqual([]);
});
