/** What the pages show to be copied: it compiles, and the flags that it names are there. */

import { afterAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, readPages } from '../../scripts/site/pages.ts';
import { parseCommandLine, toHelp } from '../../src/config/command-line.ts';
import { findCalls, readBlocks, readCodeSpans } from './blocks.ts';

const COMPILE_MS = 60_000;
const TYPESCRIPT = join(ROOT, 'node_modules/typescript/bin/tsc');

/** What a piece may use that another one has made, unless it makes it itself. A block marked `fragment` is no program at all. */
const ASSUMED: Readonly<Record<string, string>> = Object.freeze({
  OpenAI: "import OpenAI from 'openai';",
  createReadStream: "import { createReadStream } from 'node:fs';",
  client: "declare const client: import('openai').OpenAI;",
  messages: "declare const messages: import('openai').OpenAI.ChatCompletionMessageParam[];",
  assistant: "declare const assistant: import('openai').OpenAI.Beta.Assistant;",
  thread: "declare const thread: import('openai').OpenAI.Beta.Thread;",
});
const FRAGMENT = 'fragment';

const pages = readPages();
const blocks = pages.flatMap(readBlocks);

mkdirSync(join(ROOT, 'dist'), { recursive: true });
/** In the project's folder, so that its packages are found. */
const folder = mkdtempSync(join(ROOT, 'dist/docs-blocks-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function compile(project: string): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([process.execPath, TYPESCRIPT, '--noEmit', '--pretty', 'false', '-p', project], {
    cwd: ROOT,
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: COMPILE_MS,
  });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, output: output + errors };
}

function toProgram(text: string): string {
  const imported = [...text.matchAll(/^import (\w+)?.*?(?:\{([^}]*)\})?/gm)].flatMap(
    ([, name = '', names = '']) => [name, ...names.split(',')].map((one) => one.trim()),
  );
  const made = [...text.matchAll(/\b(?:const|let) (\w+)/g)].map(([, name = '']) => name);
  const needed = Object.entries(ASSUMED).filter(
    ([name]) => new RegExp(`\\b${name}\\b`).test(text) && !imported.includes(name) && !made.includes(name),
  );
  return [...needed.map(([, line]) => line), text, 'export {};', ''].join('\n');
}

test(
  'every block of TypeScript on a page compiles',
  async () => {
    const programs = blocks.filter(
      ({ language, marks }) =>
        ['ts', 'typescript', 'js', 'javascript'].includes(language) && !marks.includes(FRAGMENT),
    );
    expect(programs.length).toBeGreaterThan(5);
    for (const [number, { name, text }] of programs.entries()) {
      writeFileSync(join(folder, `block-${number}.ts`), `// ${name}\n${toProgram(text)}`);
    }
    const options = { noUnusedLocals: false, noUnusedParameters: false };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: '../../tsconfig.json',
        compilerOptions: options,
        include: ['*.ts'],
        exclude: [],
      }),
    );
    const { code, output } = await compile(folder);
    expect(output).toBe('');
    expect(code).toBe(0);
  },
  COMPILE_MS,
);

test(
  'the scripts of the pages compile against what browsers have',
  async () => {
    expect(await compile(join(ROOT, 'scripts/site/browser'))).toEqual({ code: 0, output: '' });
  },
  COMPILE_MS,
);

test('every block of JSON can be read', () => {
  for (const { name, language, text } of blocks) {
    if (language === 'json') expect(() => JSON.parse(text), name).not.toThrow();
  }
});

test('every call of the program on a page is one that the command line takes', () => {
  const calls = blocks
    .filter(({ language }) => language === 'sh' || language === 'bash')
    .flatMap(({ name, text }) => findCalls(text).map((words) => ({ name, words })));
  expect(calls.length).toBeGreaterThan(20);
  for (const { name, words } of calls) {
    expect({ name, words, problems: parseCommandLine(words).problems }).toEqual({
      name,
      words,
      problems: [],
    });
  }
});

test('every call of the program in the text of a page is one that the command line takes', () => {
  const spans = pages.flatMap((page) => readCodeSpans(page).map((text) => ({ file: page.file, text })));
  const called = spans.filter(({ text }) => /^(dist\/)?understudy [a-z-]/.test(text));
  expect(called.length).toBeGreaterThan(3);
  for (const { file, text } of called) {
    // `understudy copy …` tells of a command, and leaves open what follows; so does `understudy copy --tenant`.
    const words = text
      .split(' ')
      .slice(1)
      .filter((word) => !/^(…|\.\.\.)$/.test(word));
    const problems = parseCommandLine(words).problems.filter(
      (problem) => !problem.endsWith(' needs a value.'),
    );
    expect({ file, text, problems }).toEqual({ file, text, problems: [] });
  }
});

test('every flag that a page names is there', () => {
  const known = new Set([...toHelp().matchAll(/--([a-z][a-z0-9-]*)/g)].map(([, flag = '']) => flag));
  const named = pages.flatMap((page) =>
    readCodeSpans(page)
      // How switches are turned off.
      .filter((text) => text !== '--no-')
      .map((text) => /^--(?:no-)?([a-z][a-z0-9-]*)/.exec(text)?.[1])
      .filter((flag) => flag !== undefined)
      .map((flag) => ({ file: page.file, flag })),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter(({ flag }) => !known.has(flag))).toEqual([]);
});

test('calls of the program are found among other words', () => {
  expect(
    findCalls('A=1 understudy serve --port 1 # why\nnpm start -- --port 2 | cat\ncurl understudy\n'),
  ).toEqual([
    ['serve', '--port', '1'],
    ['--port', '2'],
  ]);
  expect(findCalls('dist/understudy keys create \\\n  --project a > key && understudy')).toEqual([
    ['keys', 'create', '--project', 'a'],
    [],
  ]);
});
