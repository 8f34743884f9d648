/** What the layers above are handed: every port, and nothing of any adapter. Made once, in `app.ts`. */

import type { Clock } from './clock.ts';
import type { Ids } from './ids.ts';
import type { Log } from './log.ts';
import type { Router } from './providers/provider.ts';
import type { BlobStore } from './store/blob-store.ts';
import type { Store } from './store/store.ts';
import type { VectorIndex } from './vector/vector-index.ts';

export interface Ports {
  readonly store: Store;
  /** The bytes of files. */
  readonly blobs: BlobStore;
  /** The chunks of vector stores. */
  readonly index: VectorIndex;
  readonly router: Router;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}
