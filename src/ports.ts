/** What the layers above are handed: every port, and nothing of any adapter. Made once, in `app.ts`. */

import type { Clock } from './clock.ts';
import type { Ids } from './ids.ts';
import type { Log } from './log.ts';
import type { Router } from './providers/provider.ts';
import type { Store } from './store/store.ts';

export interface Ports {
  readonly store: Store;
  readonly router: Router;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}
