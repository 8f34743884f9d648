/**
 * Looks into what a CQL client sends for its login, and puts another one in its place. Frames of protocol 3 and 4, and
 * of DSE's, are nine bytes of header and a body; everything but logins passes as it comes.
 */

import { Transform, type TransformCallback } from 'node:stream';

const HEADER_BYTES = 9;
const OPCODE_ERROR = 0x00;
const OPCODE_AUTH_RESPONSE = 0x0f;
const FLAG_COMPRESSED = 0x01;
const RESPONSE_BIT = 0x80;
/** From this version on, frames travel in checksummed segments, which this does not read. */
const SEGMENTED_VERSION = 5;
const BAD_CREDENTIALS = 0x0100;
const LOGIN_BYTES_MAX = 64 * 1024;

export interface Login {
  readonly username: string;
  readonly password: string;
}

export interface LoginRewriting {
  /** What the node is told in the client's place; null refuses it. */
  rewrite(login: Login): Login | null;
  /** Sends bytes to the client. */
  answer(bytes: Buffer): void;
}

/** Between a client and its node. Errors: a protocol that it cannot read. */
export function createLoginRewriter(rewriting: LoginRewriting): Transform {
  const buffered: { bytes: Buffer; passing: number } = { bytes: Buffer.alloc(0), passing: 0 };
  return new Transform({
    transform(chunk: Buffer, _encoding: string, done: TransformCallback) {
      buffered.bytes = buffered.bytes.length === 0 ? chunk : Buffer.concat([buffered.bytes, chunk]);
      try {
        for (let next = takeNext(buffered, rewriting); next !== null; next = takeNext(buffered, rewriting)) {
          if (next.length > 0) this.push(next);
        }
        done();
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
}

/** Bytes for the node, maybe none; null where more must come first. */
function takeNext(buffered: { bytes: Buffer; passing: number }, rewriting: LoginRewriting): Buffer | null {
  const { bytes, passing } = buffered;
  if (bytes.length === 0) return null;
  if (passing > 0) {
    const count = Math.min(passing, bytes.length);
    buffered.passing -= count;
    buffered.bytes = bytes.subarray(count);
    return bytes.subarray(0, count);
  }
  if (bytes.length < HEADER_BYTES) return null;
  const length = bytes.readInt32BE(5);
  if (bytes[0] === SEGMENTED_VERSION) throw new Error('the emulation of Astra speaks no CQL protocol 5');
  if (bytes[4] !== OPCODE_AUTH_RESPONSE) {
    buffered.passing = HEADER_BYTES + length;
    return Buffer.alloc(0);
  }
  if (length > LOGIN_BYTES_MAX) throw new Error('a login is too long');
  if (bytes.length < HEADER_BYTES + length) return null;
  buffered.bytes = bytes.subarray(HEADER_BYTES + length);
  const header = bytes.subarray(0, HEADER_BYTES);
  return replaceLogin(header, bytes.subarray(HEADER_BYTES, HEADER_BYTES + length), rewriting);
}

function replaceLogin(header: Buffer, body: Buffer, { rewrite, answer }: LoginRewriting): Buffer {
  const isCompressed = ((header[1] ?? 0) & FLAG_COMPRESSED) !== 0;
  const given = isCompressed ? null : toLogin(body);
  const login = given === null ? null : rewrite(given);
  if (login === null) {
    answer(toRefusal(header));
    return Buffer.alloc(0);
  }
  const token = Buffer.from(`\0${login.username}\0${login.password}`);
  return toFrame(header, OPCODE_AUTH_RESPONSE, Buffer.concat([toInt(token.length), token]));
}

/** SASL's PLAIN: who to act for, a zero, the user, a zero, the password. */
function toLogin(body: Buffer): Login | null {
  const [, username, password] = body.subarray(4).toString('utf8').split('\0');
  return username === undefined || password === undefined ? null : { username, password };
}

function toRefusal(header: Buffer): Buffer {
  const message = Buffer.from('Provided username token and/or password are incorrect');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  const frame = toFrame(header, OPCODE_ERROR, Buffer.concat([toInt(BAD_CREDENTIALS), length, message]));
  frame[0] = (header[0] ?? 0) | RESPONSE_BIT;
  return frame;
}

/** For the same stream as the frame with this header. */
function toFrame(header: Buffer, opcode: number, body: Buffer): Buffer {
  const start = Buffer.from(header);
  start[1] = 0;
  start[4] = opcode;
  start.writeInt32BE(body.length, 5);
  return Buffer.concat([start, body]);
}

function toInt(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
