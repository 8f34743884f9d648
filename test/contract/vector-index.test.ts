/** Every engine of the vector index port, against one contract. */

import { openSqliteIndex } from '../vector/index-directory.ts';
import { describeVectorIndexContract, type OpenIndex } from './vector-index.ts';

const ENGINES: readonly (readonly [name: string, open: OpenIndex])[] = [['sqlite', openSqliteIndex]];

for (const [name, open] of ENGINES) describeVectorIndexContract(name, open);
