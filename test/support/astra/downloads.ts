/** Links to secure bundles, which need no token and are good for five minutes. */

import { randomBytes } from 'node:crypto';

const VALID_SECONDS = 300;
const SIGNATURE_BYTES = 32;

export interface Downloads {
  /** A path with its query. */
  sign(databaseId: string): string;
  /** The database's id; null for a link that was never given out, or is no longer good. */
  find(url: URL): string | null;
  /** Ends all links. */
  expire(): void;
}

export function createDownloads(): Downloads {
  const links = new Map<string, { readonly databaseId: string; readonly until: number }>();
  return {
    sign(databaseId) {
      const signature = randomBytes(SIGNATURE_BYTES).toString('hex');
      links.set(signature, { databaseId, until: Date.now() + VALID_SECONDS * 1000 });
      const query = new URLSearchParams({
        'X-Amz-Expires': String(VALID_SECONDS),
        'X-Amz-Signature': signature,
      });
      return `/secure-bundles/secure-connect-${databaseId}.zip?${query}`;
    },
    find(url) {
      const link = links.get(url.searchParams.get('X-Amz-Signature') ?? '');
      return link === undefined || link.until < Date.now() ? null : link.databaseId;
    },
    expire: () => links.clear(),
  };
}
