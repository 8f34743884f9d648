/** What the pages show in Python, YAML and for a shell can be read by what will read it. */

import { expect, test } from 'bun:test';
import { readPages } from '../../scripts/site/pages.ts';
import { findPython } from '../acceptance/python.ts';
import { readBlocks } from './blocks.ts';

const python = await findPython();
if (python.path === null) console.warn(`SKIPPED: the Python of the pages: ${python.reason}.`);

const blocks = readPages().flatMap(readBlocks);

function pick(...languages: string[]) {
  const found = blocks.filter(({ language }) => languages.includes(language));
  expect(found.length).toBeGreaterThan(1);
  return found;
}

/** What the program says against the text; empty where it takes it. */
async function read(command: string[], text: string): Promise<string> {
  const child = Bun.spawn(command, { stdin: Buffer.from(text), stdout: 'ignore', stderr: 'pipe' });
  const errors = await new Response(child.stderr).text();
  return (await child.exited) === 0 ? '' : errors || 'refused';
}

test.skipIf(python.path === null)('every block of Python is Python', async () => {
  const parse = 'import ast, sys; ast.parse(sys.stdin.read())';
  for (const { name, text } of pick('python', 'py')) {
    expect({ name, errors: await read([python.path ?? '', '-c', parse], text) }).toEqual({
      name,
      errors: '',
    });
  }
});

test('every block for a shell is one that a shell can read', async () => {
  for (const { name, text } of pick('sh', 'bash')) {
    expect({ name, errors: await read(['sh', '-n'], text) }).toEqual({ name, errors: '' });
  }
});

test('every block of YAML is YAML', () => {
  for (const { name, text } of pick('yaml')) {
    expect(() => Bun.YAML.parse(text), name).not.toThrow();
  }
});
