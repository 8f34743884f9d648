/** Astra's DevOps API, version 2, as far as a server that finds, makes, wakes and opens databases calls it. */

import type { AstraDatabase } from './database.ts';
import {
  NO_TOKEN,
  NOT_FOUND,
  NOT_PERMITTED,
  toDatabaseAnswer,
  toErrors,
  toStorageError,
  UNKNOWN_TOKEN,
  WRONG_STATE,
} from './devops-answers.ts';
import { isKeyspaceName } from './node-grants.ts';
import { canUse, type Token, type Tokens } from './tokens.ts';

const PAGE_DEFAULT = 25;
const PAGE_MAX = 100;
const REQUIRED_FIELDS = ['name', 'cloudProvider', 'tier', 'capacityUnits', 'region'] as const;

export interface NewDatabase {
  readonly name: string;
  readonly keyspace: string;
  readonly region: string;
  readonly cloudProvider: string;
}

export interface DevopsSettings {
  readonly organizationId: string;
  readonly tokens: Tokens;
  readonly databases: ReadonlyMap<string, AstraDatabase>;
  /** Whether each answer about a database takes it to its next status. */
  isAdvancing(): boolean;
  create(request: NewDatabase): Promise<AstraDatabase>;
  /** A path for a bundle that nobody can guess, for five minutes. */
  sign(database: AstraDatabase): string;
  /** null where the path is not, or no longer, good. */
  findSigned(url: URL): AstraDatabase | null;
}

interface Call {
  readonly settings: DevopsSettings;
  readonly request: Request;
  readonly url: URL;
  readonly token: Token;
}

export async function answerDevops(settings: DevopsSettings, request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (url.pathname.startsWith('/secure-bundles/')) return download(settings, url);
  const given = /^Bearer (AstraCS:.+)$/.exec(request.headers.get('authorization') ?? '')?.[1];
  if (given === undefined) return toErrors(401, NO_TOKEN);
  const token = settings.tokens.find(given);
  if (token === null) return toErrors(401, UNKNOWN_TOKEN);
  return await route({ settings, request, url, token });
}

async function route(call: Call): Promise<Response> {
  const { settings, request, url, token } = call;
  const [version, resource, id, ...action] = url.pathname.split('/').slice(1);
  if (version !== 'v2' || resource !== 'databases') return toErrors(404, 'not found');
  if (id === undefined) {
    if (request.method === 'GET') return list(call);
    return request.method === 'POST' ? await create(call) : toErrors(405, 'method not allowed');
  }
  const database = settings.databases.get(id);
  if (database === undefined || !canUse(token, id)) return toErrors(404, NOT_FOUND);
  const [name, argument] = action;
  if (request.method === 'GET' && name === undefined) return toRead(settings, database);
  if (request.method !== 'POST') return toErrors(405, 'method not allowed');
  if (name === 'secureBundleURL') return toBundleUrl(call, database);
  if (name === 'keyspaces' && argument !== undefined) return await addKeyspace(database, argument);
  if (name === 'resume') return resume(database);
  return name === 'terminate' ? terminate(database) : toErrors(404, 'not found');
}

function list({ settings, url, token }: Call): Response {
  const include = url.searchParams.get('include') ?? 'nonterminated';
  const limit = Number(url.searchParams.get('limit') ?? PAGE_DEFAULT);
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX)
    return toErrors(400, `limit must be 1 to ${PAGE_MAX}`);
  const visible = [...settings.databases.values()].filter(
    (database) => canUse(token, database.id) && isIncluded(database, include),
  );
  const after = url.searchParams.get('starting_after');
  const start = after === null ? 0 : visible.findIndex(({ id }) => id === after) + 1;
  if (after !== null && start === 0) return toErrors(400, 'starting_after names no database');
  const page = visible.slice(start, start + limit);
  const answer = Response.json(page.map((database) => toDatabaseAnswer(database, settings.organizationId)));
  if (settings.isAdvancing()) for (const database of page) database.advance();
  return answer;
}

function isIncluded(database: AstraDatabase, include: string): boolean {
  if (include === 'all') return true;
  if (include === 'nonterminated') return database.status() !== 'TERMINATED';
  return database.status() === include.toUpperCase();
}

async function create({ settings, request, token }: Call): Promise<Response> {
  if (token.databases !== null || token.access !== 'write') return toErrors(401, NOT_PERMITTED);
  const body: unknown = await request.json().catch(() => null);
  if (typeof body !== 'object' || body === null) return toErrors(400, 'the body is no JSON object');
  const fields = new Map<string, unknown>(Object.entries(body));
  const missing = REQUIRED_FIELDS.filter((name) => !fields.has(name));
  if (missing.length > 0) return toErrors(400, `missing: ${missing}`);
  const keyspace = String(fields.get('keyspace') ?? 'default_keyspace');
  if (!isKeyspaceName(keyspace)) return toErrors(400, `invalid keyspace name: ${keyspace}`);
  const database = await settings.create({
    name: String(fields.get('name')),
    keyspace,
    region: String(fields.get('region')),
    cloudProvider: String(fields.get('cloudProvider')),
  });
  return new Response(null, { status: 201, headers: { location: database.id } });
}

function toRead(settings: DevopsSettings, database: AstraDatabase): Response {
  const answer = Response.json(toDatabaseAnswer(database, settings.organizationId));
  if (settings.isAdvancing()) database.advance();
  return answer;
}

function toBundleUrl({ settings, url }: Call, database: AstraDatabase): Response {
  if (database.status() !== 'ACTIVE') return toErrors(409, WRONG_STATE);
  const downloadURL = new URL(settings.sign(database), url).href;
  const answer = {
    downloadURL,
    downloadURLInternal: downloadURL,
    downloadURLMigrationProxy: downloadURL,
    downloadURLMigrationProxyInternal: downloadURL,
  };
  if (url.searchParams.get('all') !== 'true') return Response.json(answer);
  const { id, region, cloudProvider } = database;
  return Response.json([{ datacenterID: `${id}-1`, region, cloudProvider, ...answer }]);
}

/** It wakes a sleeping database, which then is not ready for it yet. */
async function addKeyspace(database: AstraDatabase, name: string): Promise<Response> {
  if (database.status() === 'HIBERNATED') wake(database);
  if (database.status() !== 'ACTIVE') return toErrors(409, WRONG_STATE);
  if (!isKeyspaceName(name)) return toErrors(422, `invalid keyspace name: ${name}`);
  if (await database.addKeyspace(name)) return Response.json({ name }, { status: 201 });
  return toErrors(
    500,
    `emulation: another database of the same node has ${name}; give each a node of its own`,
  );
}

function resume(database: AstraDatabase): Response {
  if (database.status() !== 'HIBERNATED') return toErrors(409, WRONG_STATE);
  wake(database);
  return new Response(null, { status: 202 });
}

function wake(database: AstraDatabase): void {
  database.setStatus('RESUMING');
  database.plan(['ACTIVE']);
}

function terminate(database: AstraDatabase): Response {
  database.setStatus('TERMINATING');
  database.plan(['TERMINATED']);
  return new Response(null, { status: 202 });
}

function download(settings: DevopsSettings, url: URL): Response {
  const database = settings.findSigned(url);
  if (database === null) return toStorageError();
  return new Response(Buffer.from(database.bundle()), { headers: { 'content-type': 'application/zip' } });
}
