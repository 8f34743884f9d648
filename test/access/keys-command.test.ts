/** `understudy keys`, as an operator calls it. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseKey } from '../../src/access/key-format.ts';
import { toProjectId } from '../../src/access/key-records.ts';

const ROOT = resolve(import.meta.dir, '../..');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-keys-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(...args: readonly string[]) {
  const child = Bun.spawn(
    [process.execPath, join(ROOT, 'src/main.ts'), 'keys', ...args, '--data', join(folder, 'data')],
    { env: { PATH: process.env.PATH ?? '' }, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  );
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

async function listJson(...args: readonly string[]) {
  return JSON.parse((await run('list', '--json', ...args)).stdout);
}

test('create prints the key alone on stdout, and the list shows what it may do but nothing of its secret', async () => {
  const made = await run(
    'create',
    '--project',
    'shop',
    '--scope',
    'read',
    '--scope',
    'run',
    '--expires',
    '30d',
    '--requests-per-minute',
    '60',
  );
  expect(made.code).toBe(0);
  expect(made.stdout).toMatch(/^[A-Za-z0-9_-]{32,}\n$/);
  const key = made.stdout.trim();
  const parts = parseKey(key);
  expect(made.stderr).toContain(`Made ${parts?.id} for the project 'shop'`);
  expect(made.stderr).not.toContain(parts?.secret ?? '');

  const listed = await listJson('--project', 'shop');
  expect(listed.projects).toMatchObject([{ name: 'shop', tenant: toProjectId('shop') }]);
  const [shown] = listed.keys;
  expect(shown).toMatchObject({
    id: parts?.id,
    project: 'shop',
    state: 'active',
    scopes: ['read', 'run'],
    limits: { requests_per_minute: 60, tokens_per_minute: null, concurrent_runs: null },
  });
  expect(shown.expires_at - shown.created_at).toBe(30 * 24 * 60 * 60);
  const table = await run('list');
  expect(table.stdout).toMatch(new RegExp(`${parts?.id} +shop +active +read,run .* 60 requests/min`));
  for (const text of [table.stdout, JSON.stringify(listed)]) {
    expect(text).not.toContain(parts?.secret ?? '');
    expect(text).not.toMatch(/[0-9a-f]{64}/);
  }
});

test('keys of one project that are made at once are of one project', async () => {
  const made = await Promise.all(
    Array.from({ length: 4 }, () => run('create', '--project', 'crowd', '--scope', 'read')),
  );
  expect(made.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  const { keys, projects } = await listJson('--project', 'crowd');
  expect(new Set(keys.map(({ tenant }: { tenant: string }) => tenant))).toEqual(
    new Set([toProjectId('crowd')]),
  );
  expect(keys).toHaveLength(4);
  expect(projects).toHaveLength(1);
});

test('the project default is the tenant of a server without keys', async () => {
  await run('create', '--project', 'default');
  expect((await listJson('--project', 'default')).projects).toMatchObject([{ tenant: 'default' }]);
});

test('revoke ends a key, once and again, and says where there is none', async () => {
  const made = await run('create', '--project', 'ended');
  const id = parseKey(made.stdout.trim())?.id ?? '';
  const first = await run('revoke', id);
  expect(first).toMatchObject({ code: 0, stdout: '', stderr: `${id} of the project 'ended' has ended.\n` });
  const [before] = (await listJson('--project', 'ended')).keys;
  expect(before.state).toBe('revoked');
  expect((await run('revoke', id)).code).toBe(0);
  expect((await listJson('--project', 'ended')).keys[0].revoked_at).toBe(before.revoked_at);
  const none = await run('revoke', 'key_000000000000000000000000');
  expect(none).toMatchObject({ code: 1, stderr: 'There is no key key_000000000000000000000000.\n' });
});

test('limit sets what is named, and leaves the others', async () => {
  await run('limit', '--project', 'held', '--tokens-per-minute', '1000', '--stored-mib', '5');
  const second = await run('limit', '--project', 'held', '--concurrent-runs', '2', '--stored-mib', 'none');
  expect(second).toMatchObject({
    code: 0,
    stdout: '',
    stderr: "The project 'held' has these limits: 1000 tokens/min, 2 runs at once.\n",
  });
  expect((await listJson('--project', 'held')).projects[0].limits).toEqual({
    requests_per_minute: null,
    tokens_per_minute: 1000,
    concurrent_runs: 2,
    stored_bytes: null,
  });
});

describe('misuse ends with 2 and a line for each mistake', () => {
  const KEY = 'sk-understudy-nothingtoberepeatedinanerror';
  test.each([
    [[], 'keys needs to be told what to do: create, list, revoke or limit.'],
    [['crate'], "There is no 'keys crate'. Did you mean 'keys create'?"],
    [['create'], 'keys create needs --project NAME: whose key it is.'],
    [
      ['create', '--project', 'a b'],
      '--project must be a name of at most 64 letters, digits, dots, dashes and underscores.',
    ],
    [['create', '--project', 'a', 'b'], "'b' is one word too many after 'keys create'."],
    [
      ['create', '--project', 'a', '--scope', 'everything'],
      "--scope 'everything': there is read, write, run, admin.",
    ],
    [
      ['create', '--project', 'a', '--expires', 'soon'],
      '--expires must be a time like 90s, 30m, 12h or 30d.',
    ],
    [['create', '--project', 'a', '--expires', '0d'], '--expires must be a time like 90s, 30m, 12h or 30d.'],
    [
      ['create', '--project', 'a', '--requests-per-minute', '0'],
      '--requests-per-minute must be a whole number from 1 to 1000000000, or none.',
    ],
    [['create', '--project', 'a', '--stored-mib', '1'], "--stored-mib does not go with 'keys create'."],
    [['list', '--scope', 'read'], "--scope does not go with 'keys list'."],
    [['revoke'], "keys revoke needs the id of a key, as 'keys list' shows it."],
    [['revoke', KEY], "That is no id of a key: it looks like key_… in 'keys list'."],
    [['limit', '--project', 'a'], 'keys limit needs a limit: --requests-per-minute NUMBER, or another one.'],
    [
      ['create', '--project', 'a', '--auth', 'astra', '--store', 'astra'],
      'With --auth astra the tokens of the databases are the keys: there are no others.',
    ],
  ] as const)('%p', async (args, problem) => {
    expect(await run(...args)).toEqual({ code: 2, stdout: '', stderr: `understudy: ${problem}\n` });
  });
});
