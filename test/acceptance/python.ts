/** The official Python client. */

import { findPythonWith, type Python } from '../support/python-packages.ts';

export type { Python } from '../support/python-packages.ts';

/** As pinned as everything else. */
export const OPENAI_VERSION = '3.57.0';

/** Python with the official client; or why there is none here, which is no fault of the server's. */
export function findPython(): Promise<Python> {
  return findPythonWith('openai', OPENAI_VERSION);
}
