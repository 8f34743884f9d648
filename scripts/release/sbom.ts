/** What the executables are made of, as CycloneDX 1.6: the list of `understudy licenses`, with hashes, and with who needs whom. */

import { createHash } from 'node:crypto';
import type { CollectedEntry } from '../licenses/collect.ts';

/** `packages` of `package-lock.json`. */
export type LockedPackages = Readonly<
  Record<string, { version?: string; integrity?: string; dependencies?: Readonly<Record<string, string>> }>
>;

export interface SbomSource {
  readonly entries: readonly CollectedEntry[];
  readonly locked: LockedPackages;
  /** Packages of npm with the Bun of each system: one of them is what an executable is. */
  readonly runtimePackages: readonly string[];
  /** Seconds since 1970. */
  readonly seconds: number;
}

export interface Component {
  type: 'application' | 'library' | 'platform';
  'bom-ref': string;
  group?: string;
  name: string;
  version?: string;
  hashes?: { alg: 'SHA-512'; content: string }[];
  licenses?: ({ license: { id: string } | { name: string } } | { expression: string })[];
  purl?: string;
  externalReferences?: { type: 'website'; url: string }[];
  components?: Component[];
}

/** SPDX names no other licences that stand in our list alone. */
const UNNAMED_LICENSES: readonly string[] = Object.freeze(['public domain', 'several']);
const RUNTIME = 'bun';

/** The same for the same source: nothing in it is by chance, and no clock is asked. */
export function toSbom({ entries, locked, runtimePackages, seconds }: SbomSource): object {
  const [own, ...others] = entries;
  if (own === undefined) throw new Error('There is nothing that the list could be of.');
  const direct = others.filter(({ within }) => within === null);
  const components = direct.map((entry) => toComponent(entry, others, locked));
  const runtime = components.find(({ name }) => name === RUNTIME);
  runtime?.components?.push(...runtimePackages.map((name) => toRuntimePackage(name, locked)));
  const main = { ...toComponent(own, [], locked), type: 'application' as const };
  const refs = direct.map(toRef);
  const body = {
    metadata: {
      timestamp: new Date(seconds * 1000).toISOString(),
      component: main,
    },
    components,
    dependencies: [
      { ref: main['bom-ref'], dependsOn: refs.toSorted() },
      ...direct.map((entry) => ({ ref: toRef(entry), dependsOn: findNeeds(entry, locked, refs) })),
    ],
  };
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${toUuid(JSON.stringify(body))}`,
    version: 1,
    ...body,
  };
}

function toComponent(
  entry: CollectedEntry,
  all: readonly CollectedEntry[],
  locked: LockedPackages,
): Component {
  const { name, version, license, url, lockKey } = entry;
  const integrity = lockKey === null ? undefined : locked[lockKey]?.integrity;
  if (lockKey !== null && integrity === undefined)
    throw new Error(`package-lock.json has no hash of ${lockKey}.`);
  const [, group, rest] = /^(@[^/]+)\/(.+)$/.exec(name) ?? [];
  const parts = all.filter(({ within }) => within === name).map((part) => toComponent(part, [], locked));
  return {
    type: name === RUNTIME ? 'platform' : 'library',
    'bom-ref': toRef(entry),
    ...(group === undefined ? {} : { group }),
    name: rest ?? name,
    ...(version === null ? {} : { version }),
    ...(integrity === undefined ? {} : { hashes: [toHash(integrity)] }),
    licenses: [toLicense(license)],
    ...(lockKey === null ? {} : { purl: toPurl(name, version ?? '') }),
    ...(url === null ? {} : { externalReferences: [{ type: 'website' as const, url }] }),
    ...(parts.length === 0 ? {} : { components: parts }),
  };
}

function toRuntimePackage(name: string, locked: LockedPackages): Component {
  const { version, integrity } = locked[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined)
    throw new Error(`package-lock.json does not name ${name}.`);
  const [group = '', rest = ''] = name.split('/');
  const purl = toPurl(name, version);
  const licenses = [toLicense('MIT')];
  return {
    type: 'platform',
    'bom-ref': purl,
    group,
    name: rest,
    version,
    hashes: [toHash(integrity)],
    licenses,
    purl,
  };
}

function toRef({ name, version, within, lockKey }: CollectedEntry): string {
  if (lockKey !== null) return toPurl(name, version ?? '');
  return [within, version === null ? name : `${name}@${version}`].filter((part) => part !== null).join('/');
}

/** `pkg:npm/%40scope/name@1.2.3` */
function toPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace(/^@/, '%40')}@${version}`;
}

/** npm writes hashes in Base64, CycloneDX in hexadecimal. */
function toHash(integrity: string): { alg: 'SHA-512'; content: string } {
  const [algorithm, base64 = ''] = integrity.split('-', 2);
  if (algorithm !== 'sha512') throw new Error(`A hash in package-lock.json is no SHA-512: ${integrity}`);
  return { alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') };
}

function toLicense(license: string): { license: { id: string } | { name: string } } | { expression: string } {
  if (UNNAMED_LICENSES.includes(license)) return { license: { name: license } };
  return / (?:AND|OR|WITH) /.test(license) ? { expression: license } : { license: { id: license } };
}

/** Of the packages that a package names, those that are in the executable. */
function findNeeds({ lockKey }: CollectedEntry, locked: LockedPackages, refs: readonly string[]): string[] {
  if (lockKey === null) return [];
  const names = Object.keys(locked[lockKey]?.dependencies ?? {});
  const found = names.flatMap((name) => {
    const key = resolveKey(lockKey, name, locked);
    return key === null ? [] : [toPurl(name, locked[key]?.version ?? '')];
  });
  return found.filter((ref) => refs.includes(ref)).sort();
}

/** Where Node.js finds a package from the folder of another: there, or in a folder above. */
function resolveKey(from: string, name: string, locked: LockedPackages): string | null {
  const key = `${from}/node_modules/${name}`;
  if (locked[key] !== undefined) return key;
  const above = from.lastIndexOf('/node_modules/');
  if (above >= 0) return resolveKey(from.slice(0, above), name, locked);
  return locked[`node_modules/${name}`] === undefined ? null : `node_modules/${name}`;
}

/** A UUID of version 8, whose bits are the hash. */
function toUuid(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
