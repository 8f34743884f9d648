/** Every engine of the store port, against one contract. */

import { openSqliteStore } from '../store/sqlite-directory.ts';
import { describeStoreContract, type OpenStore } from './store.ts';

const ENGINES: readonly (readonly [name: string, open: OpenStore])[] = [['sqlite', openSqliteStore]];

for (const [name, open] of ENGINES) describeStoreContract(name, open);
