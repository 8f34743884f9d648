/** A router whose configuration can change while requests are under way: each goes on with the one that it began with. */

import type { Router } from '../provider.ts';

export interface ReloadableRouter {
  /** Always answers by the router that was set last. */
  readonly router: Router;
  replace(next: Router): void;
}

export function createReloadableRouter(first: Router): ReloadableRouter {
  let current = first;
  return {
    router: {
      resolve: (model, headers) => current.resolve(model, headers),
      available: (headers) => current.available(headers),
      get defaultModel() {
        return current.defaultModel ?? null;
      },
      get aliases() {
        return current.aliases ?? [];
      },
    },
    replace(next) {
      current = next;
    },
  };
}
