/**
 * Where a call may be connected to whose host a request named.
 *
 * A name is resolved once, every address that comes back must be one that may be, and the call is made to an address
 * out of that answer: a name that says something else a moment later (DNS rebinding) gains nothing.
 */

import { lookup as lookupDns } from 'node:dns/promises';
import { isIP } from 'node:net';
import { ProviderError } from '../provider.ts';
import { isLoopbackHost } from '../routing/base-url.ts';
import { toServerName } from './call-watch.ts';

/** All addresses of a name, as IPv4 or IPv6 text. Rejects where there are none. */
export type LookUp = (hostname: string) => Promise<readonly string[]>;

export interface AddressPolicy {
  /** Whether this machine itself may be reached. */
  readonly allowLoopback: boolean;
  /**
   * Whether the operator has named this host (`host` or `host:port`, lower case): it may then lie in a private network.
   * Link-local addresses, those of cloud metadata services among them, are reached only where he named the address itself.
   */
  readonly isNamed: (host: string) => boolean;
}

/** Addresses to connect to, the first one first; null: the URL's host is an address itself. */
export type AddressCheck = (
  url: URL,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<readonly string[] | null>;

/** Further addresses of a name are there for the case that the first one is down. */
const ADDRESSES_MAX = 4;
/** How long what a name resolved to is used again; it is judged anew each time. */
const KEPT_MS = 10_000;
const NAMES_MAX = 256;

export interface AddressCheckOptions {
  readonly policy: AddressPolicy;
  readonly lookUp?: LookUp;
  readonly keptMs?: number;
}

/**
 * Throws `ProviderError`: `invalid_request` naming `base-url` for an address that may not be, `connection` for a name that
 * is not found, `timeout`; the signal's reason when it aborts.
 */
export function createAddressCheck(options: AddressCheckOptions): AddressCheck {
  const { policy } = options;
  const lookUp = keepAnswers(options.lookUp ?? lookUpSystem, options.keptMs ?? KEPT_MS);
  return async (url, { timeoutMs, signal }) => {
    const name = toName(url);
    const literal = isIP(name) === 0 ? null : name;
    const addresses =
      literal === null ? await findAddresses(url, name, lookUp, timeoutMs, signal) : [literal];
    for (const address of addresses) {
      if (!isAllowed(address, url, literal !== null, policy)) throw refuse(url);
    }
    if (literal !== null) return null;
    // Where IPv6 leads nowhere, trying it first would cost the connect timeout.
    const ordered = addresses.toSorted((a, b) => isIP(a) - isIP(b));
    return ordered.slice(0, ADDRESSES_MAX);
  };
}

const lookUpSystem: LookUp = async (hostname) => {
  const found = await lookupDns(hostname, { all: true });
  return found.map(({ address }) => address);
};

/** Each call would wait for the name server otherwise. */
function keepAnswers(lookUp: LookUp, keptMs: number): LookUp {
  const kept = new Map<string, { readonly addresses: readonly string[]; readonly untilMs: number }>();
  return async (hostname) => {
    const known = kept.get(hostname);
    if (known !== undefined && performance.now() < known.untilMs) return known.addresses;
    const addresses = await lookUp(hostname);
    kept.delete(hostname);
    kept.set(hostname, { addresses, untilMs: performance.now() + keptMs });
    const [oldest] = kept.keys();
    if (kept.size > NAMES_MAX && oldest !== undefined) kept.delete(oldest);
    return addresses;
  };
}

/** The host's name or address, as `net` writes it: no brackets, no dot at its end. */
function toName(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

async function findAddresses(
  url: URL,
  name: string,
  lookUp: LookUp,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `The name of ${toServerName(url)} was not found in ${timeoutMs} ms.`;
    timeout.reject(new ProviderError('timeout', message, { isRetryable: true }));
  }, timeoutMs);
  const onAbort = (): void => timeout.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const addresses = await Promise.race([lookUp(name), timeout.promise]);
    if (addresses.length === 0) throw new Error('The name has no address.');
    return addresses;
  } catch (cause) {
    if (cause instanceof ProviderError || signal.aborted) throw cause;
    const message = `The name of ${toServerName(url)} cannot be found.`;
    throw new ProviderError('connection', message, { isRetryable: true, cause });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** The address is not said: whoever asked may be about to learn the network by it. */
function refuse(url: URL): ProviderError {
  return new ProviderError(
    'invalid_request',
    `The host '${url.host}' in 'base-url' leads to an address that this server does not call.`,
    { param: 'base-url', code: 'invalid_value' },
  );
}

function isAllowed(address: string, url: URL, isLiteral: boolean, policy: AddressPolicy): boolean {
  const isNamed = (): boolean => policy.isNamed(url.host) || policy.isNamed(url.hostname);
  switch (classifyAddress(address)) {
    case 'public':
      return true;
    case 'loopback':
      return policy.allowLoopback || (isLoopbackHost(url.hostname) && isNamed());
    case 'private':
      return isNamed();
    case 'link-local':
      return isLiteral && isNamed();
    case 'unusable':
      return false;
  }
}

export type AddressClass = 'public' | 'loopback' | 'private' | 'link-local' | 'unusable';

/** What an address is for. What cannot be read is unusable. */
export function classifyAddress(address: string): AddressClass {
  const family = isIP(address);
  if (family === 4) return classifyIpv4(toIpv4(address));
  // A zone (`fe80::1%eth0`) makes an address no other one.
  return family === 6 ? classifyIpv6(toIpv6(address.replace(/%.*$/, ''))) : 'unusable';
}

interface Range<T> {
  readonly base: T;
  readonly bits: number;
  readonly kind: AddressClass;
}

/** IANA's special-purpose registry, and the metadata services of clouds that lie elsewhere. The first that fits counts. */
const IPV4_RANGES: readonly Range<number>[] = Object.freeze(
  (
    [
      ['169.254.0.0', 16, 'link-local'],
      // Metadata and host services: Alibaba, Oracle, Azure.
      ['100.100.100.200', 32, 'link-local'],
      ['192.0.0.192', 32, 'link-local'],
      ['168.63.129.16', 32, 'link-local'],
      ['127.0.0.0', 8, 'loopback'],
      ['10.0.0.0', 8, 'private'],
      ['172.16.0.0', 12, 'private'],
      ['192.168.0.0', 16, 'private'],
      ['100.64.0.0', 10, 'private'],
      ['0.0.0.0', 8, 'unusable'],
      ['192.0.0.0', 24, 'unusable'],
      ['192.0.2.0', 24, 'unusable'],
      ['192.31.196.0', 24, 'unusable'],
      ['192.52.193.0', 24, 'unusable'],
      ['192.88.99.0', 24, 'unusable'],
      ['192.175.48.0', 24, 'unusable'],
      ['198.18.0.0', 15, 'unusable'],
      ['198.51.100.0', 24, 'unusable'],
      ['203.0.113.0', 24, 'unusable'],
      // Multicast, reserved, broadcast.
      ['224.0.0.0', 3, 'unusable'],
    ] as const
  ).map(([base, bits, kind]) => ({ base: toIpv4(base), bits, kind })),
);

function classifyIpv4(value: number): AddressClass {
  const found = IPV4_RANGES.find(({ base, bits }) => value >>> (32 - bits) === base >>> (32 - bits));
  return found?.kind ?? 'public';
}

function toIpv4(address: string): number {
  return address.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

const IPV6_RANGES: readonly Range<bigint>[] = Object.freeze(
  (
    [
      ['::1', 128, 'loopback'],
      // Amazon's metadata service.
      ['fd00:ec2::254', 128, 'link-local'],
      ['fe80::', 10, 'link-local'],
      ['fc00::', 7, 'private'],
      // Protocol assignments, Teredo among them; documentation; 6to4.
      ['2001::', 23, 'unusable'],
      ['2001:db8::', 32, 'unusable'],
      ['2002::', 16, 'unusable'],
      ['3fff::', 20, 'unusable'],
      // All that is given out so far. Whatever is neither this nor above is nothing to call.
      ['2000::', 3, 'public'],
    ] as const
  ).map(([base, bits, kind]) => ({ base: toIpv6(base), bits, kind })),
);

/** Prefixes behind which an IPv4 address stands in the last 32 bits: mapped, and translated (NAT64). */
const IPV4_CARRIERS: readonly bigint[] = Object.freeze([toIpv6('::ffff:0:0'), toIpv6('64:ff9b::')]);

function classifyIpv6(value: bigint): AddressClass {
  if (IPV4_CARRIERS.some((prefix) => value >> 32n === prefix >> 32n)) {
    return classifyIpv4(Number(value & 0xffff_ffffn));
  }
  const found = IPV6_RANGES.find(
    ({ base, bits }) => value >> BigInt(128 - bits) === base >> BigInt(128 - bits),
  );
  return found?.kind ?? 'unusable';
}

/** The address as a number; it must be a valid one. */
function toIpv6(address: string): bigint {
  // `::ffff:127.0.0.1` has its last two groups in the other way of writing.
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (dotted) => {
    const value = toIpv4(dotted);
    return `${Math.floor(value / 65_536).toString(16)}:${(value % 65_536).toString(16)}`;
  });
  const [head = '', tail = ''] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: text.includes('::') ? 8 - left.length - right.length : 0 }, () => '0');
  return [...left, ...zeros, ...right].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}
