/** The pictures in `docs/pictures` that are drawn by the code here; others may lie beside them. */

import { readResults } from '../results.ts';
import { drawArchitecture } from './architecture.ts';
import { drawLifeOfARun } from './life-of-a-run.ts';
import { drawPlots } from './plots.ts';

/** By the name of its file. Errors: plots of what has not been measured. */
export function drawPictures(): Record<string, string> {
  return {
    'architecture.svg': drawArchitecture(),
    'life-of-a-run.svg': drawLifeOfARun(),
    ...drawPlots(readResults()),
  };
}
