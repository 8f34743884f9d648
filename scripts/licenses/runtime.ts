/**
 * Bun, which every executable is, and what Bun has in itself. Its package on npm says nothing of that: the list is that of `LICENSE.md` in
 * its repository, the versions are what the pinned Bun says of itself.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toPlainText } from './packages.ts';

export interface RuntimePart {
  readonly name: string;
  readonly version: string | null;
  readonly license: string;
  readonly url: string;
  /** Null where `url` leads to it. */
  readonly text: string | null;
}

export const RUNTIME_NAME = 'bun';
/** Of `LICENSE.md`; a later Bun may have other parts: whoever changes the version reads it again, and changes this. */
export const RUNTIME_LIST_VERSION = '1.4.5';

type PartRow = readonly [
  name: string,
  license: string,
  url: string,
  /** What `process.versions` calls it. */
  versionKey?: string,
  text?: string,
];

const GITHUB = 'https://github.com';

const PARTS: readonly PartRow[] = Object.freeze([
  [
    'WebKit (JavaScriptCore)',
    'LGPL-2.0-or-later',
    `${GITHUB}/oven-sh/WebKit`,
    'webkit',
    'texts/LGPL-2.0.txt',
  ],
  ['TinyCC', 'LGPL-2.1-or-later', `${GITHUB}/tinycc/tinycc`, 'tinycc', 'texts/LGPL-2.1.txt'],
  ['SQLite', 'public domain', 'https://sqlite.org/copyright.html', 'sqlite'],
  [
    'BoringSSL',
    'several',
    'https://boringssl.googlesource.com/boringssl/+/refs/heads/master/LICENSE',
    'boringssl',
  ],
  ['ICU', 'Unicode-3.0', `${GITHUB}/unicode-org/icu/blob/main/LICENSE`, 'icu'],
  ['libarchive', 'several', `${GITHUB}/libarchive/libarchive/blob/master/COPYING`, 'libarchive'],
  ['lol-html', 'BSD-3-Clause', `${GITHUB}/cloudflare/lol-html`, 'lolhtml'],
  ['mimalloc', 'MIT', `${GITHUB}/microsoft/mimalloc`, 'mimalloc'],
  ['picohttpparser', 'MIT', `${GITHUB}/h2o/picohttpparser`, 'picohttpparser'],
  ['zstd', 'BSD-3-Clause', `${GITHUB}/facebook/zstd`, 'zstd'],
  ['zlib-ng', 'Zlib', `${GITHUB}/zlib-ng/zlib-ng`, 'zlib'],
  ['c-ares', 'MIT', `${GITHUB}/c-ares/c-ares`, 'ares'],
  ['libdeflate', 'MIT', `${GITHUB}/ebiggers/libdeflate`, 'libdeflate'],
  ['ls-hpack', 'MIT', `${GITHUB}/litespeedtech/ls-hpack`, 'lshpack'],
  ['uSockets', 'Apache-2.0', `${GITHUB}/uNetworking/uSockets`, 'usockets'],
  ['uWebSockets', 'Apache-2.0', `${GITHUB}/uNetworking/uWebSockets`, 'uwebsockets'],
  // `process.versions.uv` is the one of Node.js that Bun passes for.
  ['libuv (on Windows)', 'MIT', `${GITHUB}/libuv/libuv`],
  ['ls-qpack', 'MIT', `${GITHUB}/litespeedtech/ls-qpack`],
  ['lsquic', 'MIT AND BSD-3-Clause', `${GITHUB}/litespeedtech/lsquic`],
  ['brotli', 'MIT', `${GITHUB}/google/brotli`],
  ['simdutf', 'Apache-2.0', `${GITHUB}/simdutf/simdutf`],
  ['libbase64', 'BSD-2-Clause', `${GITHUB}/aklomp/base64`],
  ['libjpeg-turbo', 'IJG AND BSD-3-Clause AND Zlib', `${GITHUB}/libjpeg-turbo/libjpeg-turbo`],
  ['libspng', 'BSD-2-Clause', `${GITHUB}/randy408/libspng`],
  ['libwebp', 'BSD-3-Clause', `${GITHUB}/webmproject/libwebp`],
  ['highway', 'Apache-2.0', `${GITHUB}/google/highway`],
  ['uucode', 'MIT', `${GITHUB}/jacobsandlund/uucode`],
  ["parts of TigerBeetle's IO", 'Apache-2.0', `${GITHUB}/tigerbeetle/tigerbeetle`],
  ['parts of libc++abi', 'Apache-2.0 WITH LLVM-exception', `${GITHUB}/llvm/llvm-project`],
  ['parts of esbuild', 'MIT', `${GITHUB}/evanw/esbuild`],
  ...toPolyfills(
    'acorn acorn-walk assert browserify-zlib buffer constants-browserify crypto-browserify domain-browser events https-browserify',
    'os-browserify path-browserify process punycode querystring-es3 stream-browserify stream-http string_decoder timers-browserify',
    'tty-browserify url util vm-browserify',
  ),
]);

/** What Bun gives to programs that ask for a module of Node.js. */
function toPolyfills(...lines: readonly string[]): PartRow[] {
  return lines
    .flatMap((line) => line.split(' '))
    .map((name) => [name, 'MIT', `https://www.npmjs.com/package/${name}`]);
}

/** Bun's own. Throws where the list is that of another version. */
export function readRuntime(root: string): { version: string; text: string } {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/bun/package.json'), 'utf8'));
  if (version !== RUNTIME_LIST_VERSION) {
    throw new Error(
      `scripts/licenses/runtime.ts lists what is in Bun ${RUNTIME_LIST_VERSION}, not ${version}: read its LICENSE.md anew.`,
    );
  }
  return { version, text: readText('texts/bun.txt') };
}

/** `versions` is `process.versions` of the pinned Bun. */
export function readRuntimeParts(versions: Readonly<Record<string, string | undefined>>): RuntimePart[] {
  return PARTS.map(([name, license, url, versionKey, text]) => ({
    name,
    license,
    url,
    version: versionKey === undefined ? null : (versions[versionKey] ?? null),
    text: text === undefined ? null : readText(text),
  }));
}

function readText(name: string): string {
  return toPlainText(readFileSync(join(import.meta.dir, name), 'utf8'));
}
