/** What is kept of a request's headers for its run, and who can read it; and whom a process can know to be dead. */

import { describe, expect, test } from 'bun:test';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { readHostIdentity } from '../../src/runs/host-identity.ts';
import { isDeadOwner, toOwner } from '../../src/runs/leases.ts';
import { createHeaderKeeper } from '../../src/runs/run-headers.ts';
import { createSealer } from '../../src/sealing.ts';

const PLACE = { tenant: 'tenant', runId: 'run_1' };
const keeper = createHeaderKeeper(createSealer('a secret of enough length'));

/** Headers that are secret, or not known to be harmless. */
const SECRET = {
  authorization: 'Bearer sk-zq-1',
  'api-key': 'sk-zq-2',
  'base-url': 'https://zq-gate.example/token-in-the-path/v1',
  'api-version': 'zq-version',
  'llm-param-api-key': 'sk-zq-3',
  'llm-param-groq-api-key': 'sk-zq-4',
  'llm-param-aws-secret-access-key': 'zq-5',
  'llm-param-vertex-credentials': '{"private_key":"zq-6"}',
  'llm-param-something-new': 'zq-7',
  'vertexai-project': 'zq-8',
  'embedding-param-api-key': 'sk-zq-9',
  'embedding-param-something-new': 'zq-10',
};
const OPEN = {
  'llm-param-temperature': '0.25',
  'llm-param-max_tokens': '100',
  'llm-param-custom-llm-provider': 'groq',
  'custom-llm-provider': 'groq',
  'embedding-model': 'text-embedding-3-small',
  'embedding-param-dimensions': '256',
};

describe('what is kept of headers', () => {
  test('comes back as it was, and shows nothing secret meanwhile', () => {
    const kept = keeper.keep({ ...SECRET, ...OPEN, cookie: 'session', 'user-agent': 'test' }, PLACE);
    expect(kept?.open).toEqual(OPEN);
    expect(JSON.stringify(kept)).not.toContain('zq');
    expect(keeper.open(kept, PLACE)).toEqual({ headers: { ...SECRET, ...OPEN }, missing: null });
  });

  test('opens for the same run of the same tenant only, and only under the same secret', () => {
    const kept = keeper.keep({ ...SECRET, ...OPEN }, PLACE);
    const unopened = { headers: OPEN, missing: 'not_opened' } as const;
    for (const place of [
      { ...PLACE, tenant: 'other' },
      { ...PLACE, runId: 'run_2' },
      { tenant: 'tenant","run_1', runId: '' },
    ]) {
      expect(keeper.open(kept, place)).toEqual(unopened);
    }
    expect(createHeaderKeeper(createSealer('another secret, as long')).open(kept, PLACE)).toEqual(unopened);
    expect(createHeaderKeeper(null).open(kept, PLACE)).toEqual(unopened);
  });

  test('is without its secret part where the server has no secret', () => {
    const kept = createHeaderKeeper(null).keep({ ...SECRET, ...OPEN }, PLACE);
    expect(kept).toEqual({ open: OPEN, sealed: null });
    expect(keeper.open(kept, PLACE)).toEqual({ headers: OPEN, missing: 'not_kept' });
  });

  test('is nothing where the headers say nothing of models', () => {
    expect(keeper.keep({ authorization: 'Bearer understudy', 'user-agent': 'test' }, PLACE)).toBeNull();
    expect(keeper.open(null, PLACE)).toEqual({ headers: {}, missing: 'not_kept' });
  });
});

describe('the place where process ids mean something', () => {
  test('is the same for every process of this host, and has the kernel and the namespace in its name', async () => {
    const own = readHostIdentity();
    expect(readHostIdentity()).toBe(own);
    const module = JSON.stringify(join(import.meta.dir, '../../src/runs/host-identity.ts'));
    const script = `console.log((await import(${module})).readHostIdentity())`;
    const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' });
    expect((await child.stdout.text()).trim()).toBe(own);
    expect(own).toStartWith(hostname());
    if (process.platform !== 'linux') return;
    expect(own).toContain(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
    expect(own).toContain(/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? 'no namespace');
  });

  test('decides whether a death can be known', () => {
    const self = toOwner('name:boot:1', 7, 'b');
    const isAlive = (pid: number): boolean => pid === 8;
    const isDead = (owner: string): boolean => isDeadOwner(owner, self, isAlive);
    expect(isDead(toOwner('name:boot:1', 9, 'a'))).toBe(true);
    expect(isDead(toOwner('name:boot:1', 7, 'a'))).toBe(true);
    expect(isDead(toOwner('name:boot:1', 8, 'a'))).toBe(false);
    expect(isDead(toOwner('name:boot:2', 9, 'a'))).toBe(false);
    expect(isDead(toOwner('name:other:1', 7, 'a'))).toBe(false);
    expect(isDead(self)).toBe(false);
  });
});
