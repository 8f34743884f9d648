/**
 * Archives that are the same for the same files: of the machine, its user and its clock nothing gets in. The format is ustar, which every `tar`
 * reads, compressed by gzip.
 */

import { gzipSync } from 'node:zlib';

export interface ArchivedFile {
  /** With slashes, at most 100 characters of ASCII. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly isExecutable: boolean;
}

const BLOCK_BYTES = 512;
const PATH_CHARACTERS_MAX = 100;
const GZIP_LEVEL = 9;
/** Where the header of gzip names the system: what stands there says that it is not known. */
const GZIP_SYSTEM_AT = 9;
const GZIP_SYSTEM_UNKNOWN = 255;
/** Of each field: where it begins, and its length. */
const FIELDS = Object.freeze({
  path: [0, 100],
  mode: [100, 8],
  userId: [108, 8],
  groupId: [116, 8],
  size: [124, 12],
  time: [136, 12],
  checksum: [148, 8],
  kind: [156, 1],
  magic: [257, 6],
  version: [263, 2],
} satisfies Record<string, readonly [number, number]>);

/** `seconds` since 1970, for every file. Files are sorted by their paths. */
export function toArchive(files: readonly ArchivedFile[], seconds: number): Uint8Array {
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const pieces = sorted.flatMap((file) => [
    toHeader(file, seconds),
    file.bytes,
    toPadding(file.bytes.length),
  ]);
  // Two empty blocks are the end.
  const tar = Buffer.concat([...pieces, Buffer.alloc(2 * BLOCK_BYTES)]);
  const packed = gzipSync(tar, { level: GZIP_LEVEL });
  packed[GZIP_SYSTEM_AT] = GZIP_SYSTEM_UNKNOWN;
  return packed;
}

function toHeader({ path, bytes, isExecutable }: ArchivedFile, seconds: number): Buffer {
  if (path.length > PATH_CHARACTERS_MAX) throw new Error(`This path is too long for an archive: ${path}`);
  const header = Buffer.alloc(BLOCK_BYTES);
  const write = (name: keyof typeof FIELDS, text: string): void => {
    const [at, length] = FIELDS[name];
    header.write(text, at, length, 'latin1');
  };
  const writeNumber = (name: keyof typeof FIELDS, number: number): void =>
    write(name, `${number.toString(8).padStart(FIELDS[name][1] - 1, '0')}\0`);
  write('path', path);
  writeNumber('mode', isExecutable ? 0o755 : 0o644);
  writeNumber('userId', 0);
  writeNumber('groupId', 0);
  writeNumber('size', bytes.length);
  writeNumber('time', seconds);
  write('kind', '0');
  write('magic', 'ustar\0');
  write('version', '00');
  // The sum is taken with spaces in its own place.
  write('checksum', ' '.repeat(FIELDS.checksum[1]));
  const sum = header.reduce((total, byte) => total + byte, 0);
  write('checksum', `${sum.toString(8).padStart(6, '0')}\0 `);
  return header;
}

function toPadding(bytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES);
}
