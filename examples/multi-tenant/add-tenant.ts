/**
 * Adds a tenant: makes its key of understudy, writes its file, and prints the token for its programs, once.
 *
 *   node_modules/.bin/bun examples/multi-tenant/add-tenant.ts acme --requests-per-minute 600 --concurrent-runs 5
 *
 * What follows the name goes to `understudy keys create`. TENANTS is the folder of the tenants' files (default: tenants); UNDERSTUDY_DATA,
 * UNDERSTUDY_STORE … say where the server's store is, as for the server; UNDERSTUDY the executable, if it is not this project.
 */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashToken, type TenantFile } from './tenants.ts';

const [name = '', ...flags] = process.argv.slice(2);
if (!/^[a-z0-9-]{1,40}$/.test(name)) {
  console.error(
    'Usage: add-tenant.ts NAME [flags of `understudy keys create`]; a name is of a-z, 0-9 and dashes.',
  );
  process.exit(2);
}
const folder = process.env.TENANTS ?? 'tenants';
const path = join(folder, `${name}.json`);
if (existsSync(path)) {
  console.error(`${path} is there already.`);
  process.exit(1);
}
const program = process.env.UNDERSTUDY
  ? [process.env.UNDERSTUDY]
  : [process.execPath, join(import.meta.dirname, '../../src/main.ts')];
// A project for each tenant: what belongs to one cannot be seen with the key of another.
const made = Bun.spawn([...program, 'keys', 'create', '--project', name, ...flags], { stderr: 'inherit' });
const understudyKey = (await new Response(made.stdout).text()).trim();
if ((await made.exited) !== 0) process.exit(1);

const token = `${name}.${randomBytes(32).toString('base64url')}`;
const tenant: TenantFile = { understudyKey, tokenSha256: hashToken(token) };
await mkdir(folder, { recursive: true, mode: 0o700 });
// Nobody else may read it.
await writeFile(path, JSON.stringify(tenant, null, 2), { flag: 'wx', mode: 0o600 });
console.log(token);
