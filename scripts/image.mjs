/**
 * `node scripts/image.mjs dist/understudy FOLDER`: the files of the image, made in a folder. The Dockerfile runs it, and so does the test that starts
 * the program among them. It needs `ldd`, so Linux with the C library of GNU.
 */

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';

/** Where the program is in the image. */
const PROGRAM = '/usr/local/bin/understudy';
/** Nobody on any machine: the user of the Dockerfile. */
const USER_ID = 65532;

/** @type {Readonly<Record<string, string>>} */
const TEXTS = Object.freeze({
  '/etc/passwd': `root:x:0:0:root:/:/sbin/nologin\nunderstudy:x:${USER_ID}:${USER_ID}:understudy:/var/lib/understudy:/sbin/nologin\n`,
  '/etc/group': `root:x:0:\nunderstudy:x:${USER_ID}:\n`,
  // Names are looked up in /etc/hosts, then by DNS, by what the C library has in itself.
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  // The program has the same authorities in itself. Here they can be read, and be replaced by those of a company.
  '/etc/ssl/certs/ca-certificates.crt': `${rootCertificates.join('\n')}\n`,
});

/** With their modes. */
const FOLDERS = Object.freeze({ '/tmp': 0o1777, '/var/lib/understudy': 0o700 });

/**
 * Errors: where the program loads what cannot be found.
 * @param {string} program
 * @param {string} root Made where it is missing.
 */
export function assembleImage(program, root) {
  copy(program, join(root, PROGRAM), 0o755);
  for (const library of findLibraries(program)) copy(realpathSync(library), join(root, library), 0o755);
  for (const [path, text] of Object.entries(TEXTS)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode: 0o644 });
  }
  for (const [path, mode] of Object.entries(FOLDERS)) {
    mkdirSync(join(root, path), { recursive: true });
    // The mask of this process would take from what is asked for.
    chmodSync(join(root, path), mode);
  }
}

/**
 * @param {string} from
 * @param {string} to
 * @param {number} mode
 */
function copy(from, to, mode) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

/**
 * The libraries that the program loads, and the loader, by the paths under which they are looked for.
 * @param {string} program
 */
function findLibraries(program) {
  const { status, stdout, stderr, error } = spawnSync('ldd', [resolve(program)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ldd ${program}: ${error?.message ?? stderr.trim()}`);
  return stdout
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.includes('linux-vdso'))
    .map((line) => {
      const path = /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1];
      if (path === undefined) throw new Error(`ldd ${program}: '${line.trim()}' is not found.`);
      return path;
    });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [program, root] = process.argv.slice(2);
  if (program === undefined || root === undefined) {
    console.error('usage: node scripts/image.mjs PROGRAM FOLDER');
    process.exit(2);
  }
  assembleImage(program, root);
}
