/** Writes anew what the clients in `clients` have from the code. */

import { join } from 'node:path';
import { PYTHON_CATALOGUE, toPythonCatalogue } from './python-catalogue.ts';

const path = join(import.meta.dir, '../..', PYTHON_CATALOGUE);
const after = toPythonCatalogue();
const isSame = (await Bun.file(path).exists()) && (await Bun.file(path).text()) === after;
if (!isSame) await Bun.write(path, after);
console.log(isSame ? `${PYTHON_CATALOGUE} is as it should be.` : `${PYTHON_CATALOGUE} is written.`);
