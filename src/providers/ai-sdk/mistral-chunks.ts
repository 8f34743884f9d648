/** Mistral sends chunks without a choice at times, on which its package breaks: they are given an empty one. */

import type { PackageFetch } from './upstream-fetch.ts';

/** Within a text the quotes would be escaped: this stands for nothing else. */
const NO_CHOICE = /"choices"\s*:\s*\[\s*\]/;
const EMPTY_CHOICE = '"choices":[{"index":0,"delta":{},"finish_reason":null}]';

export function withChoices(fetch: PackageFetch): PackageFetch {
  const send = async (...call: Parameters<PackageFetch>): Promise<Response> => {
    const response = await fetch(...call);
    const isStream = (response.headers.get('content-type') ?? '').includes('text/event-stream');
    if (!isStream || response.body === null) return response;
    const { status, headers } = response;
    return new Response(response.body.pipeThrough(createRepair()), { status, headers });
  };
  return Object.assign(send, { preconnect: () => undefined });
}

/** Line by line: a line may come in pieces. */
function createRepair(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = '';
  const repair = (line: string): string =>
    line.includes('"choices"') ? line.replace(NO_CHOICE, EMPTY_CHOICE) : line;
  return new TransformStream({
    transform(piece, controller) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (lines.length > 0) controller.enqueue(encoder.encode(`${lines.map(repair).join('\n')}\n`));
    },
    flush(controller) {
      const last = rest + decoder.decode();
      if (last !== '') controller.enqueue(encoder.encode(repair(last)));
    },
  });
}
