/**
 * Many paced streams at once against a Chat Completions server: `bun stream-load.ts URL COUNT` prints how many came
 * whole, and whether all of them had begun before the first one ended.
 */

const TOKENS = 30;
const [url = '', count = '1'] = process.argv.slice(2);

interface StreamTimes {
  readonly isWhole: boolean;
  readonly beganMs: number;
  readonly endedMs: number;
}

async function readStream(): Promise<StreamTimes> {
  const response = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: `paced:${TOKENS}@20`,
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
    }),
  });
  const decoder = new TextDecoder();
  let text = '';
  let beganMs: number | null = null;
  for await (const piece of response.body ?? []) {
    beganMs ??= performance.now();
    text += decoder.decode(piece, { stream: true });
  }
  const endedMs = performance.now();
  // The role chunk holds an empty content of its own.
  const tokens = text.split('"content":"').length - 2;
  return {
    isWhole: tokens === TOKENS && text.endsWith('data: [DONE]\n\n'),
    beganMs: beganMs ?? endedMs,
    endedMs,
  };
}

const streams = await Promise.all(Array.from({ length: Number(count) }, readStream));
const lastBeganMs = Math.max(...streams.map(({ beganMs }) => beganMs));
const firstEndedMs = Math.min(...streams.map(({ endedMs }) => endedMs));
const figures = {
  streams: streams.length,
  whole: streams.filter(({ isWhole }) => isWhole).length,
  haveAllBegunBeforeOneEnded: lastBeganMs < firstEndedMs,
};
process.stdout.write(JSON.stringify(figures));

export {};
