/** A screenshot as a PNG with a palette, which for a page of text is a third of the size and looks the same. */

import { deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const COLOURS_MAX = 256;
const RGB = 2;
const RGBA = 6;
const PALETTE = 3;

interface Bitmap {
  readonly width: number;
  readonly height: number;
  /** 0xrrggbb, row by row. */
  readonly pixels: Uint32Array;
}

/** Takes 8 bits a channel, not interlaced, as Chromium writes it. Errors: any other PNG. What is transparent becomes opaque. */
export function toPalettePng(png: Uint8Array): Buffer {
  const { width, height, pixels } = decode(Buffer.from(png));
  const colours = chooseColours(pixels);
  const places = new Map(colours.map((colour, place) => [colour, place]));
  const rows = Buffer.alloc((width + 1) * height);
  for (const [at, colour] of pixels.entries()) {
    const place = places.get(colour) ?? findNearest(colours, colour);
    places.set(colour, place);
    rows[at + Math.floor(at / width) + 1] = place;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, PALETTE], 8);
  const palette = Buffer.from(colours.flatMap(toChannels));
  return Buffer.concat([
    SIGNATURE,
    toChunk('IHDR', header),
    toChunk('PLTE', palette),
    toChunk('IDAT', deflateSync(rows, { level: 9 })),
    toChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The most frequent ones. */
function chooseColours(pixels: Uint32Array): readonly number[] {
  const counts = new Map<number, number>();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.slice(0, COLOURS_MAX).map(([colour]) => colour);
}

function toChannels(colour: number): [number, number, number] {
  return [colour >> 16, (colour >> 8) & 0xff, colour & 0xff];
}

function findNearest(colours: readonly number[], wanted: number): number {
  const [r, g, b] = toChannels(wanted);
  let nearest = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [place, colour] of colours.entries()) {
    const [otherR, otherG, otherB] = toChannels(colour);
    const distance = (r - otherR) ** 2 + (g - otherG) ** 2 + (b - otherB) ** 2;
    if (distance >= least) continue;
    least = distance;
    nearest = place;
  }
  return nearest;
}

function decode(png: Buffer): Bitmap {
  const parts = [...readChunks(png)];
  const header = parts.find(({ type }) => type === 'IHDR')?.data ?? Buffer.alloc(13);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, kind, , , interlace] = header.subarray(8);
  if (depth !== 8 || (kind !== RGB && kind !== RGBA) || interlace !== 0)
    throw new Error('This kind of PNG is not known here.');
  const channels = kind === RGB ? 3 : 4;
  const packed = Buffer.concat(parts.filter(({ type }) => type === 'IDAT').map(({ data }) => data));
  const bytes = unfilter(inflateSync(packed), width * channels, height, channels);
  const pixels = Uint32Array.from({ length: width * height }, (_, at) => bytes.readUIntBE(at * channels, 3));
  return { width, height, pixels };
}

function* readChunks(png: Buffer): Generator<{ type: string; data: Buffer }> {
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) };
    at += length + 12;
  }
}

/** Each row says first by which of five rules its bytes were told from the ones to the left and above. */
function unfilter(filtered: Buffer, stride: number, height: number, channels: number): Buffer {
  const bytes = Buffer.alloc(stride * height);
  for (let row = 0; row < height; row += 1) {
    const rule = filtered[row * (stride + 1)] ?? 0;
    for (let column = 0; column < stride; column += 1) {
      const at = row * stride + column;
      const left = column < channels ? 0 : (bytes[at - channels] ?? 0);
      const above = row === 0 ? 0 : (bytes[at - stride] ?? 0);
      const corner = column < channels || row === 0 ? 0 : (bytes[at - stride - channels] ?? 0);
      bytes[at] = (filtered[at + row + 1] ?? 0) + predict(rule, left, above, corner);
    }
  }
  return bytes;
}

function predict(rule: number, left: number, above: number, corner: number): number {
  if (rule === 1) return left;
  if (rule === 2) return above;
  if (rule === 3) return (left + above) >> 1;
  if (rule === 0) return 0;
  const guess = left + above - corner;
  const [toLeft, toAbove, toCorner] = [left, above, corner].map((value) => Math.abs(guess - value));
  if ((toLeft ?? 0) <= (toAbove ?? 0) && (toLeft ?? 0) <= (toCorner ?? 0)) return left;
  return (toAbove ?? 0) <= (toCorner ?? 0) ? above : corner;
}

function toChunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const chunk = Buffer.alloc(named.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  named.copy(chunk, 4);
  chunk.writeUInt32BE(Bun.hash.crc32(named), named.length + 4);
  return chunk;
}
