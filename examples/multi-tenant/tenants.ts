/**
 * Whose request it is, and the client of that tenant. A tenant is a file, `FOLDER/NAME.json`, written by `add-tenant.ts`; it is read when its
 * tenant comes, so new ones need no restart.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';
import { patch } from 'understudy/client';

export interface TenantFile {
  /** The tenant's key of understudy: its project is the wall between tenants. */
  readonly understudyKey: string;
  /** SHA-256 of the token that the tenant's own programs send, in hexadecimal. */
  readonly tokenSha256: string;
  /** The model that answers; the service's default unless given. */
  readonly model?: string;
  readonly instructions?: string;
  /** Keys of the tenant's own models: `{"GROQ_API_KEY": "…"}`. */
  readonly modelKeys?: Readonly<Record<string, string>>;
}

export interface Tenant {
  readonly name: string;
  readonly client: OpenAI;
  readonly assistantId: string;
}

/** Tenants that are kept ready; beyond it the one that has been away longest is forgotten. */
const READY_MAX = 1000;
/** How long a tenant stays ready: after it, a changed file counts. */
const READY_MS = 60_000;
/** Official clients wait as long as a 429 says, and try so often again. */
const RETRIES = 3;
const ASSISTANT = 'desk';

export interface TenantsOptions {
  readonly folder: string;
  readonly baseURL: string;
  readonly model: string;
}

export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Answers how a tenant is found by its token, `NAME.SECRET`; null for a token that is none. */
export function createTenants(options: TenantsOptions): (token: string) => Promise<Tenant | null> {
  const ready = new Map<string, Entry>();

  const open = (name: string): Entry => {
    const known = ready.get(name);
    const isFresh = known !== undefined && performance.now() < known.untilMs;
    const entry = isFresh
      ? known
      : { untilMs: performance.now() + READY_MS, file: readTenant(options.folder, name), tenant: null };
    // The last one in the map is the one that was here last.
    ready.delete(name);
    ready.set(name, entry);
    const [oldest] = ready.keys();
    if (ready.size > READY_MAX && oldest !== undefined) ready.delete(oldest);
    return entry;
  };

  return async (token) => {
    const [name = ''] = token.split('.');
    // The name becomes a file's: nothing else than this may.
    if (!/^[a-z0-9-]{1,40}$/.test(name)) return null;
    const entry = open(name);
    const forget = (): void => {
      if (ready.get(name) === entry) ready.delete(name);
    };
    const file = await entry.file.catch(() => null);
    if (file === null) forget();
    if (file === null || !isTokenOf(file, token)) return null;
    // One promise for all requests that come meanwhile: the assistant is looked for once. What fails is tried anew by the next.
    entry.tenant ??= prepare(name, file, options);
    entry.tenant.catch(forget);
    return await entry.tenant;
  };
}

interface Entry {
  readonly untilMs: number;
  readonly file: Promise<TenantFile | null>;
  tenant: Promise<Tenant> | null;
}

function isTokenOf({ tokenSha256 }: TenantFile, token: string): boolean {
  const wanted = Buffer.from(tokenSha256, 'hex');
  const given = Buffer.from(hashToken(token), 'hex');
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}

async function readTenant(folder: string, name: string): Promise<TenantFile | null> {
  try {
    return JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    console.error(`The tenant '${name}' cannot be read: ${error instanceof Error ? error.message : error}`);
    throw error;
  }
}

async function prepare(name: string, file: TenantFile, options: TenantsOptions): Promise<Tenant> {
  const { understudyKey: apiKey, modelKeys = {}, model = options.model } = file;
  const plain = new OpenAI({ baseURL: options.baseURL, apiKey, maxRetries: RETRIES });
  // Only the tenant's own keys: nothing of this process's environment goes along, and each key to its own provider alone.
  const client = patch(plain, { baseURL: options.baseURL, apiKey, env: modelKeys });
  const wanted = { model, name: ASSISTANT, instructions: file.instructions ?? 'Answer in one sentence.' };
  return { name, client, assistantId: await findAssistant(client, wanted) };
}

/** The assistant of the service, by its name: the one that is there, brought up to date, or a new one. */
async function findAssistant(client: OpenAI, wanted: OpenAI.Beta.AssistantCreateParams): Promise<string> {
  const { assistants } = client.beta;
  const find = async (): Promise<string | null> => {
    for await (const { id, name } of assistants.list({ order: 'asc', limit: 100 })) {
      if (name === ASSISTANT) return id;
    }
    return null;
  };
  const found = await find();
  if (found !== null) return (await assistants.update(found, wanted)).id;
  const { id } = await assistants.create(wanted);
  // Two processes of this service may both have made one: all take the older.
  const first = (await find()) ?? id;
  if (first !== id) await assistants.delete(id);
  return first;
}
