/** How the server shows who it is: its certificate, checked before anything starts. */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { parseAddressRange } from '../access/addresses.ts';
import { Secret } from '../secret.ts';
import type { ReadFile } from './config-sources.ts';
import type { Settings } from './settings.ts';

export interface TlsConfig {
  /** PEM: the server's, then those that lead to its authority. */
  readonly certificate: string;
  readonly key: Secret;
  /** PEM: only clients with a certificate of one of these are served. Null: all are. */
  readonly clientAuthorities: string | null;
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Null where the server speaks HTTP. What is wrong is added to `problems`. */
export function readTlsConfig(
  settings: Pick<Settings, 'tlsCert' | 'tlsKey' | 'tlsCa'>,
  readFile: ReadFile,
  problems: string[],
): TlsConfig | null {
  const { tlsCert, tlsKey, tlsCa } = settings;
  if (tlsCert === '' && tlsKey === '' && tlsCa === '') return null;
  if (tlsCert === '' || tlsKey === '') {
    const missing = tlsCert === '' ? '--tls-cert' : '--tls-key';
    problems.push(`${missing} is missing: the certificate and its key go together.`);
    return null;
  }
  const read = (flag: string, path: string): string | null => {
    try {
      return readFile(path);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push(`--${flag} ${path} cannot be read: ${reason}`);
      return null;
    }
  };
  const certificate = read('tls-cert', tlsCert);
  const key = read('tls-key', tlsKey);
  const authorities = tlsCa === '' ? null : read('tls-ca', tlsCa);
  const own = certificate === null ? null : parseCertificates('tls-cert', tlsCert, certificate, problems);
  if (authorities !== null) parseCertificates('tls-ca', tlsCa, authorities, problems);
  const parsedKey = key === null ? null : parseKey(tlsKey, key, problems);
  if (own !== null && parsedKey !== null && !own.checkPrivateKey(parsedKey)) {
    problems.push(`--tls-key ${tlsKey} is not the key of the certificate in ${tlsCert}.`);
  }
  if (certificate === null || key === null) return null;
  return { certificate, key: new Secret(key), clientAuthorities: authorities };
}

/** The first of them. */
function parseCertificates(
  flag: string,
  path: string,
  text: string,
  problems: string[],
): X509Certificate | null {
  const found = text.match(CERTIFICATES) ?? [];
  try {
    const [first] = found.map((one) => new X509Certificate(one));
    if (first !== undefined) return first;
  } catch {
    // Said below: what the parser has to say is of no use to anybody.
  }
  problems.push(`--${flag} ${path} holds no certificate that can be read. It has to be PEM.`);
  return null;
}

function parseKey(path: string, text: string, problems: string[]): KeyObject | null {
  try {
    return createPrivateKey(text);
  } catch {
    const isLocked = text.includes('ENCRYPTED');
    problems.push(
      isLocked
        ? `--tls-key ${path} is locked by a password. Write it without one: openssl pkey -in ${path} -out FILE`
        : `--tls-key ${path} holds no private key that can be read. It has to be PEM.`,
    );
    return null;
  }
}

/** What is odd, but lets the server start. */
export function findOddTls(
  tls: TlsConfig | null,
  { tlsCert }: Pick<Settings, 'tlsCert'>,
  nowMs: number,
): string[] {
  const [text] = tls?.certificate.match(CERTIFICATES) ?? [];
  if (text === undefined) return [];
  const { validFrom, validTo } = new X509Certificate(text);
  if (nowMs > Date.parse(validTo)) return [`The certificate in ${tlsCert} ended on ${validTo}.`];
  if (nowMs < Date.parse(validFrom)) return [`The certificate in ${tlsCert} begins on ${validFrom} only.`];
  return [];
}

/** Ranges that are none are added to `problems`. */
export function checkMetricsRanges(
  { metricsAllow }: Pick<Settings, 'metricsAllow'>,
  problems: string[],
): void {
  for (const range of metricsAllow) {
    if (parseAddressRange(range) === null) {
      problems.push(`--metrics-allow ${range} is neither an address nor a range like 10.0.0.0/8.`);
    }
  }
}
