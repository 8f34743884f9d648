/**
 * The documentation's site. It is made by a macro: while the executable is built, which then has the finished files in it, and while Bun reads
 * this module where the server runs from the source. So there is no made file in the source that could be out of date.
 */

import { buildSite } from '../../scripts/site/build.ts' with { type: 'macro' };

/** By the path that a file is served under. */
export const SITE_FILES = buildSite();
