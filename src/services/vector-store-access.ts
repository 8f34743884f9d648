/** How vector stores are found, and what everything that changes one needs. */

import { ApiError } from '../errors.ts';
import type { IngestEngine } from '../ingest/ingest-engine.ts';
import type { Ports } from '../ports.ts';
import type { Embedders } from '../providers/embeddings/embeddings.ts';
import type { MembershipDeps } from '../retrieval/file-membership.ts';
import type { HeaderSealer } from '../retrieval/header-sealer.ts';
import { isExpired, type VectorStoreRecord } from '../retrieval/vector-store-records.ts';
import type { Scope, Versioned } from '../store/store.ts';

export type VectorStoreDeps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log'> &
  MembershipDeps & {
    readonly ingests: IngestEngine;
    readonly embedders: Embedders;
    readonly sealer: HeaderSealer;
  };

/** Errors: 404. `param` names where the id stands in the request, where that is not the path. */
export async function getVectorStore(
  deps: Pick<Ports, 'store'>,
  scope: Scope,
  id: string,
  param: string | null = null,
): Promise<Versioned<VectorStoreRecord>> {
  const found = await deps.store.get<VectorStoreRecord>('vector_stores', scope, id);
  if (found === null) throw ApiError.notFound('vector_store', id, param);
  return found;
}

/** Errors: 404; 400 where it has expired. */
export async function getUsableStore(
  deps: Pick<Ports, 'store' | 'clock'>,
  scope: Scope,
  id: string,
): Promise<Versioned<VectorStoreRecord>> {
  const found = await getVectorStore(deps, scope, id);
  if (isExpired(found.record, deps.clock)) throw toExpired(id);
  return found;
}

export function toExpired(id: string): ApiError {
  return ApiError.invalidRequest(`The vector store '${id}' has expired.`);
}
