/** Whether a server could listen where the settings say. */

import { toListenError } from '../cluster/port.ts';
import type { Finding } from './finding.ts';
import { askHealth } from './health.ts';

export interface PortSettings {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly isTls: boolean;
}

const PART = 'port';

export async function checkPort(settings: PortSettings): Promise<Finding> {
  const { host, port, isTls } = settings;
  try {
    Bun.listen({ hostname: host, port, socket: { data() {} } }).stop(true);
    const text = port === 0 ? `${host}: the system chooses one` : `${host}:${port} is free`;
    return { part: PART, isGood: true, text };
  } catch (cause) {
    const error = toListenError(cause, host, port);
    // Whoever changes the configuration of a server that runs wants to know about the rest.
    const own = await askHealth(toOwnUrl(host, port, isTls)).catch(() => null);
    if (own?.isOwn === true) {
      return { part: PART, isGood: true, text: `${host}:${port} is taken, by an understudy that runs there` };
    }
    return { part: PART, isGood: false, text: error instanceof Error ? error.message : String(error) };
  }
}

/** How this machine itself reaches a server that listens there. */
export function toOwnUrl(host: string, port: number, isTls: boolean): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' || host === '[::]' ? '[::1]' : host;
  const shown = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
  return `${isTls ? 'https' : 'http'}://${shown}:${port}`;
}
