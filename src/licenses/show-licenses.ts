/** `understudy licenses`, carried out. */

import { readBundledLicenses } from './bundled.ts';
import { type LicensesForm, printLicenses } from './print-licenses.ts';

/** To the end: the process leaves when this is over, and whoever reads may be slow. */
export async function showLicenses(form: LicensesForm): Promise<void> {
  await Bun.write(Bun.stdout, printLicenses(readBundledLicenses(), form)).catch(
    (error: NodeJS.ErrnoException) => {
      // `| head` has seen enough.
      if (error.code !== 'EPIPE') throw error;
    },
  );
}
