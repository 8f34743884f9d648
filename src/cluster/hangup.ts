/**
 * What SIGHUP means. A server reads its configuration anew by it; but a terminal that is closed sends it, too, and then a
 * program that was started there is to end.
 */

import { closeSync, openSync, readFileSync } from 'node:fs';

export type HangupMeaning = 'reload' | 'stop';

const TERMINAL = '/dev/tty';
const STATUS_FILE = '/proc/self/status';
/** SIGHUP in the mask of ignored signals. */
const HANGUP_BIT = 1n;

/** To be made before a handler for the signal is set, which undoes what nohup did. Answers what the signal means when it comes. */
export function createHangupReader(): () => HangupMeaning {
  const mayOutliveTerminal = isIgnored();
  const hadTerminal = hasTerminal();
  return () => (hadTerminal && !mayOutliveTerminal && !hasTerminal() ? 'stop' : 'reload');
}

/** Whether whoever started this process wants it to survive its terminal, as nohup does. */
function isIgnored(): boolean {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync(STATUS_FILE, 'utf8'))?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) & HANGUP_BIT) !== 0n;
  } catch {
    // No Linux: a closed terminal ends the server.
    return false;
  }
}

/** A terminal that was closed can no longer be opened. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync(TERMINAL, 'r'));
    return true;
  } catch {
    return false;
  }
}
