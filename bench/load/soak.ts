/** An hour of a program's work, as fast as it goes: whether memory stays flat. */

import { repeat } from '../harness.ts';
import type { PinnedServer } from './workers.ts';

const CONCURRENCY = 8;
/** Rounds between two looks at the memory. */
const ROUNDS_PER_LOOK = 50;

export interface Soak {
  readonly rounds: number;
  /** MiB of the largest worker, look by look, once it was warm. */
  readonly looks: readonly number[];
  /** MiB that a thousand rounds add, by least squares over the looks. */
  readonly slope: number;
}

/** Whole rounds until `seconds` are over, of which the first third is warming up. */
export async function soak(server: PinnedServer, seconds: number): Promise<Soak> {
  const call = async (method: string, path: string, body?: unknown): Promise<{ id: string }> => {
    const isForm = body instanceof FormData;
    const response = await fetch(`${server.url}/v1${path}`, {
      method,
      ...(body === undefined || isForm ? {} : { headers: { 'content-type': 'application/json' } }),
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : { id: '' };
  };
  const { id: assistantId } = await call('POST', '/assistants', { model: 'understudy/rehearsal' });

  /** A thread, messages, runs; a file, a store, a search; then everything goes. */
  const playRound = async (index: number): Promise<void> => {
    const hello = { role: 'user', content: `Hello, how are you? This is round ${index}.` };
    const thread = await call('POST', '/threads', { messages: [hello] });
    for (let run = 0; run < 3; run += 1) {
      await call('POST', `/threads/${thread.id}/messages`, hello);
      await call('POST', `/threads/${thread.id}/runs`, { assistant_id: assistantId, stream: true });
    }
    await call('GET', `/threads/${thread.id}/messages?limit=100`);
    const form = new FormData();
    form.append('purpose', 'assistants');
    form.append('file', new File([`Round ${index} says what no other says. `.repeat(50)], `${index}.txt`));
    const file = await call('POST', '/files', form);
    const store = await call('POST', '/vector_stores', { file_ids: [file.id] });
    await call('POST', `/vector_stores/${store.id}/search`, { query: `what round ${index} says` });
    await call('DELETE', `/vector_stores/${store.id}`);
    await call('DELETE', `/files/${file.id}`);
    await call('DELETE', `/threads/${thread.id}`);
  };

  const startedMs = performance.now();
  const warmMs = (seconds * 1_000) / 3;
  const looks: { readonly rounds: number; readonly mib: number }[] = [];
  let rounds = 0;
  while (performance.now() - startedMs < seconds * 1_000) {
    await repeat(ROUNDS_PER_LOOK, CONCURRENCY, (index) => playRound(rounds + index));
    rounds += ROUNDS_PER_LOOK;
    if (performance.now() - startedMs < warmMs) continue;
    looks.push({ rounds, mib: Math.max(...(await server.readWorkersMib())) });
  }
  return { rounds, looks: looks.map(({ mib }) => mib), slope: toSlope(looks) * 1_000 };
}

/** MiB a round. */
function toSlope(looks: readonly { readonly rounds: number; readonly mib: number }[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((total, value) => total + value, 0) / values.length;
  const x = mean(looks.map(({ rounds }) => rounds));
  const y = mean(looks.map(({ mib }) => mib));
  const spread = looks.reduce((total, { rounds }) => total + (rounds - x) ** 2, 0);
  return looks.reduce((total, { rounds, mib }) => total + (rounds - x) * (mib - y), 0) / spread;
}
