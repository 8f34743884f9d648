/**
 * Where this server's process ids mean something. Whether a process is alive can only be asked there: containers may
 * have the same host name, and all of them a process 1.
 */

import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
const PID_NAMESPACE_LINK = '/proc/self/ns/pid';
const DIGEST_CHARACTERS = 16;

/**
 * Two processes get the same exactly where each could see whether the other is alive; different ones where that is not
 * certain, and then only a lease that is not renewed tells of a death.
 */
export function readHostIdentity(platform: NodeJS.Platform = process.platform): string {
  const name = hostname().replaceAll('/', '_');
  return `${name}:${platform === 'linux' ? readLinuxIdentity() : readInterfaces()}`;
}

/** The kernel since its start, and the namespace of process ids on it. */
function readLinuxIdentity(): string {
  try {
    const boot = readFileSync(BOOT_ID_FILE, 'utf8').trim();
    const namespace = readlinkSync(PID_NAMESPACE_LINK).replaceAll(/\D/g, '');
    if (boot !== '' && namespace !== '') return `${boot}:${namespace}`;
  } catch {
    // A system that hides these: nothing is known of other processes there.
  }
  return randomUUID();
}

/** Elsewhere no two servers share a machine without sharing its processes: the network cards tell machines apart. */
function readInterfaces(): string {
  const cards = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).flatMap(({ internal, mac }) => (internal ? [] : [mac])),
  );
  const [first] = cards.filter((mac) => mac !== '00:00:00:00:00:00').toSorted();
  if (first === undefined) return randomUUID();
  return createHash('sha256').update(first).digest('hex').slice(0, DIGEST_CHARACTERS);
}
