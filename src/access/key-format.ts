/**
 * What a key of the server's looks like: `sk-understudy-`, then 24 characters that name it (the id of its record, which is no secret),
 * 43 that are random (256 bits), and 6 by which a slip of the pen, or any other text, is told from a key without asking the store.
 */

import { createHash, randomBytes } from 'node:crypto';
import { ID_BODY_LENGTH, ID_PREFIXES } from '../ids.ts';

export const KEY_PREFIX = 'sk-understudy-';
const SECRET_BYTES = 32;
/** 32 bytes as base64url. */
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const KEY_LENGTH = KEY_PREFIX.length + ID_BODY_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH;
const KEY_PATTERN = /^sk-understudy-[0-9A-Za-z]{24}[A-Za-z0-9_-]{43}[0-9a-z]{6}$/;

/** A key, taken apart. */
export interface KeyParts {
  /** `key_…`, the id of its record. */
  readonly id: string;
  readonly secret: string;
}

/** A new key for the record of this id, with the hash that the record holds. The key is nowhere else. */
export function createKey(id: string): { readonly key: string; readonly secretHash: string } {
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const body = KEY_PREFIX + id.slice(ID_PREFIXES.api_key.length) + secret;
  return { key: body + toChecksum(body), secretHash: hashSecret(secret) };
}

/** Null for what cannot be a key. */
export function parseKey(text: string): KeyParts | null {
  if (text.length !== KEY_LENGTH || !KEY_PATTERN.test(text)) return null;
  const body = text.slice(0, -CHECKSUM_LENGTH);
  if (toChecksum(body) !== text.slice(-CHECKSUM_LENGTH)) return null;
  const idEnd = KEY_PREFIX.length + ID_BODY_LENGTH;
  return {
    id: ID_PREFIXES.api_key + body.slice(KEY_PREFIX.length, idEnd),
    secret: body.slice(idEnd),
  };
}

/**
 * SHA-256, as hexadecimal digits. A slow hash is for what people think up: nobody finds 256 random bits by trying, however fast he
 * tries, and a slow one would let strangers keep the server busy.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** The checksum is no secret: anybody can make one. It keeps what is no key at all away from the store. */
function toChecksum(body: string): string {
  return Bun.hash.crc32(body).toString(36).padStart(CHECKSUM_LENGTH, '0').slice(-CHECKSUM_LENGTH);
}

const SHOWN_START = 8;
const SHOWN_END = 4;
/** Of anything shorter, what is shown would be too much of it. */
const SHOWN_LENGTH_MIN = 32;

/** What an error may show of what came as a key: its first and last few characters, as at OpenAI. */
export function maskKey(text: string): string {
  const plain = text.replaceAll(/[^\x21-\x7e]/g, '?');
  if (plain.length < SHOWN_LENGTH_MIN) return '********';
  return `${plain.slice(0, SHOWN_START)}********${plain.slice(-SHOWN_END)}`;
}
