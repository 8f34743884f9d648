/** `understudy health`: asks a server that runs how it is, and needs no other program for that. */

export interface HealthAnswer {
  readonly status: number;
  /** Whether it is one of this program that answers. */
  readonly isOwn: boolean;
}

/** Whoever probes has a bound of its own, mostly of some seconds. */
const ANSWER_MS = 3_000;
const OWN_HEADER = 'x-understudy-version';

/** Asks `/health`, or `/ready`. Rejects where nobody answers in time. */
export async function askHealth(url: string, path = '/health'): Promise<HealthAnswer> {
  const response = await fetch(`${url.replace(/\/$/, '')}${path}`, {
    signal: AbortSignal.timeout(ANSWER_MS),
    redirect: 'manual',
    // A server's certificate names its public address, and this asks it by another. Nothing secret is said.
    tls: { rejectUnauthorized: false },
    // A proxy leads away from this machine.
    proxy: '',
  });
  await response.body?.cancel();
  return { status: response.status, isOwn: response.headers.has(OWN_HEADER) };
}

/** Answers the exit code: 0 where the server answers well. */
export async function runHealth(
  url: string,
  isReadyAsked: boolean,
  write: { readonly out: (line: string) => void; readonly error: (line: string) => void },
): Promise<number> {
  const path = isReadyAsked ? '/ready' : '/health';
  try {
    const { status, isOwn } = await askHealth(url, path);
    if (status === 200 && isOwn) {
      write.out(`${url}${path}: ok`);
      return 0;
    }
    write.error(`${url}${path}: ${isOwn ? `status ${status}` : 'another program answers'}`);
  } catch (error) {
    write.error(`${url}${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return 1;
}
