/** Checks a Signature Version 4 as AWS does: from the request as it came, and the secret key. */

import { createHash, createHmac } from 'node:crypto';
import type { ProtocolRecord } from './protocol-server.ts';

export interface SignatureCheck {
  readonly accessKeyId: string;
  /** `DATE/REGION/bedrock/aws4_request` without the date. */
  readonly scope: string;
  readonly signedHeaders: readonly string[];
  readonly isValid: boolean;
}

/** Null: the request is not signed. */
export function checkSignature(request: ProtocolRecord, secretKey: string): SignatureCheck | null {
  const header = String(request.headers.authorization ?? '');
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (match === null) return null;
  const [, accessKeyId = '', date = '', scope = '', names = '', signature = ''] = match;
  const signedHeaders = names.split(';');
  const canonical = [
    request.method,
    // The path is encoded once more than it was sent.
    request.path.split('/').map(encodeStrictly).join('/'),
    '',
    ...signedHeaders.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}`),
    '',
    names,
    toHash(request.text),
  ].join('\n');
  const toSign = [
    'AWS4-HMAC-SHA256',
    request.headers['x-amz-date'],
    `${date}/${scope}`,
    toHash(canonical),
  ].join('\n');
  const key = [date, ...scope.split('/')].reduce<Buffer>(
    (latest, part) => createHmac('sha256', latest).update(part).digest(),
    Buffer.from(`AWS4${secretKey}`),
  );
  const expected = createHmac('sha256', key).update(toSign).digest('hex');
  return { accessKeyId, scope, signedHeaders, isValid: expected === signature };
}

function encodeStrictly(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function toHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
