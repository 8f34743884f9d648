/** Certificates that are made while a test runs, with openssl. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OPENSSL_TIMEOUT_MS = 30_000;
const VALID_DAYS = '3650';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const;

/** PEM both. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface Leaf {
  readonly commonName: string;
  readonly usage: 'serverAuth' | 'clientAuth';
  /** As openssl writes them: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly alternativeNames?: readonly string[];
}

export interface Authority {
  readonly certificate: string;
  issue(leaf: Leaf): Identity;
}

/** Errors: openssl's own; that it is missing. */
export function createAuthority(commonName: string): Authority {
  const { certificate, key } = inFolder((folder) => {
    const paths = { certificate: join(folder, 'ca.crt'), key: join(folder, 'ca.key') };
    const extensions = [
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
    ];
    const request = [
      'req',
      '-x509',
      ...NEW_KEY,
      '-days',
      VALID_DAYS,
      '-subj',
      `/CN=${commonName}`,
      ...extensions,
    ];
    runOpenssl([...request, '-keyout', paths.key, '-out', paths.certificate]);
    return readIdentity(paths);
  });
  return { certificate, issue: (leaf) => inFolder((folder) => issue(folder, { certificate, key }, leaf)) };
}

function issue(folder: string, authority: Identity, leaf: Leaf): Identity {
  const toPath = (name: string): string => join(folder, name);
  writeFileSync(toPath('ca.crt'), authority.certificate);
  writeFileSync(toPath('ca.key'), authority.key);
  const names = leaf.alternativeNames ?? [];
  const extensions = [
    `extendedKeyUsage=${leaf.usage}`,
    ...(names.length === 0 ? [] : [`subjectAltName=${names}`]),
  ];
  writeFileSync(toPath('extensions'), `${extensions.join('\n')}\n`);
  const subject = ['-subj', `/CN=${leaf.commonName}`];
  runOpenssl(['req', '-new', ...NEW_KEY, ...subject, '-keyout', toPath('key'), '-out', toPath('request')]);
  const signer = ['-CA', toPath('ca.crt'), '-CAkey', toPath('ca.key'), '-set_serial', toSerial()];
  const signing = ['x509', '-req', '-in', toPath('request'), ...signer, '-extfile', toPath('extensions')];
  runOpenssl([...signing, '-days', VALID_DAYS, '-out', toPath('cert')]);
  return readIdentity({ certificate: toPath('cert'), key: toPath('key') });
}

function toSerial(): string {
  return `0x${crypto.randomUUID().replaceAll('-', '')}`;
}

function readIdentity(paths: Identity): Identity {
  return { certificate: readFileSync(paths.certificate, 'utf8'), key: readFileSync(paths.key, 'utf8') };
}

function inFolder<T>(act: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-authority-'));
  try {
    return act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runOpenssl(args: readonly string[]): void {
  const openssl = Bun.which('openssl');
  if (openssl === null) throw new Error('there is no openssl in PATH to make certificates with');
  const done = Bun.spawnSync([openssl, ...args], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
    timeout: OPENSSL_TIMEOUT_MS,
  });
  if (!done.success) throw new Error(`openssl ${args[0]} failed:\n${done.stderr.toString()}`);
}
