import type { RequestHeaders } from '../providers/provider.ts';
import type { Scope } from '../store/store.ts';

/** Who asks, and with what: the model's key may be in the headers. */
export interface Caller {
  readonly scope: Scope;
  readonly headers: RequestHeaders;
  readonly requestId: string;
}
