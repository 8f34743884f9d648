/** `npm run help`: what each script of `package.json` does, and how long it takes. What follows `--` goes to the script. */

import { fileURLToPath } from 'node:url';

/**
 * The first line of each, and its time on two cores where everything is installed. A first run installs, some 10 seconds and what the line takes.
 * @type {Readonly<Record<string, readonly [about: string, time: string]>>}
 */
export const SCRIPTS = Object.freeze({
  start: ['The server, from the source; `-- --help` shows commands and flags', 'a second'],
  help: ['This list', 'at once'],
  test: [
    'Type check, lint, and all suites but the slow ones; `-- test/routes` runs one folder',
    'some minutes, at most 14',
  ],
  'test:faults': ['Kills, full disks, clocks that jump, clients that vanish', '3 minutes'],
  'test:acceptance': ['The official SDKs against the executable, which is built first', 'some minutes'],
  'test:cassandra': [
    'What needs Cassandra, beside a node that it starts (Java, Maven)',
    'up to 14 minutes; less for one folder',
  ],
  'test:astra': ['The same servers on an emulated Astra (Java, Maven)', 'up to 14 minutes'],
  'test:readme': ['What README.md tells to type, as somebody who has just cloned it', 'half a minute'],
  build: ['The executable for this machine: dist/understudy', '3 seconds'],
  'build:all': [
    'The executables for all systems, with SHA256SUMS',
    'half a minute; the first time 6 downloads of 40 MB',
  ],
  'build:client': ['The client library as a package of its own: dist/client', '3 seconds'],
  release: ['What a release needs; `-- 1.2.3 --run` makes one; `-- --help`', 'a second; --run: 2 minutes'],
  docs: ['The generated tables and pictures in docs', 'some seconds'],
  'docs:cast': ['Records docs/pictures/quickstart.svg; needs the port 8700', 'a second'],
  'docs:screenshot': ['Takes docs/pictures/document-questions.png; needs Chromium', '10 seconds'],
  'docs:site': ['The pages that a server has at /docs, as files: dist/site', 'a second'],
  typecheck: ['TypeScript, without output', '10 seconds'],
  lint: ['Biome: rules and format', '5 seconds'],
  format: ['Biome, which mends what it can', '5 seconds'],
  bench: [
    'All figures, each beside what it stands on; `-- first-token` one of them',
    'some minutes; `-- --quick` less',
  ],
  'bench:load': ['Workers against one, what idles, a soak', 'some minutes'],
  generate: ["The schemas, from OpenAI's API document: `-- --spec FILE`", 'some seconds'],
  'generate:clients': ['What the clients have from the code', 'a second'],
});

const NAME_WIDTH = Math.max(...Object.keys(SCRIPTS).map((name) => name.length));

export function toHelpText() {
  const lines = Object.entries(SCRIPTS).map(([name, [about, time]]) => {
    const command = `npm run ${name.padEnd(NAME_WIDTH)}`;
    return `  ${command}  ${about} (${time}).`;
  });
  return `${lines.join('\n')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(toHelpText());
