/** Every engine of the blob store port, against one contract. */

import { openSqliteBlobStore } from '../store/blob-directory.ts';
import { describeBlobStoreContract, type OpenBlobStore } from './blob-store.ts';

const ENGINES: readonly (readonly [name: string, open: OpenBlobStore])[] = [['sqlite', openSqliteBlobStore]];

for (const [name, open] of ENGINES) describeBlobStoreContract(name, open);
