/**
 * @typedef {{ type: 'citation', number: number, file: string, score: number | null, passage: string, quote: string }} Citation
 * @typedef {{ type: 'started', thread: string, run: string } | { type: 'searching' } | { type: 'text', value: string } | Citation
 *   | { type: 'ended', status: string, error: string | null }} PageEvent
 */

/**
 * The events of a stream, as they come.
 * @param {Response} response
 * @returns {AsyncGenerator<PageEvent, void>}
 */
export async function* readEvents(response) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let read = await reader?.read(); read !== undefined && !read.done; read = await reader?.read()) {
    const events = (rest + read.value).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events)
      if (event.startsWith('data: ')) yield JSON.parse(event.slice('data: '.length));
  }
}
