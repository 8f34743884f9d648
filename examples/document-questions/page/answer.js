/** One answer on the page. It grows while it comes: what stands is left alone, so that nobody loses the mark under the pointer. */

import { CITATIONS_MAX, removeCitationCharacters, toBlocks, toCitationCharacter, toElement } from './text.js';

/** @typedef {import('./events.js').PageEvent} PageEvent */
/** @typedef {import('./events.js').Citation} Citation */

/** @type {Readonly<Record<string, string>>} */
const NOTES = {
  cancelled: 'Stopped.',
  incomplete: 'The answer was cut short.',
  expired: 'The answer took too long.',
};

/** @param {(citation: Citation, mark: HTMLElement) => void} onOpen When a mark is chosen. */
export function createAnswer(onOpen) {
  const element = document.createElement('div');
  element.className = 'answer';
  const status = document.createElement('p');
  status.className = 'status';
  status.textContent = 'Thinking';
  element.append(status);

  let text = '';
  let isOver = false;
  /** Each place that cites, from the first on: one passage may be cited for several of its sentences. @type {Citation[]} */
  const citations = [];
  /** @type {{ source: string, element: Element }[]} */
  const shown = [];

  /** @param {number} place */
  const toMark = (place) => {
    const citation = citations[place];
    const number = citation?.number ?? 0;
    const mark = document.createElement('button');
    mark.type = 'button';
    mark.className = 'mark';
    mark.textContent = String(number);
    mark.ariaLabel = `Source ${number}: ${citation?.file}`;
    mark.addEventListener('click', () => citation !== undefined && onOpen(citation, mark));
    return mark;
  };

  const show = () => {
    const blocks = toBlocks(text);
    for (const [at, block] of blocks.entries()) {
      const source = JSON.stringify(block);
      const old = shown[at];
      if (old?.source === source) continue;
      const made = toElement(block, toMark);
      if (old === undefined) status.before(made);
      else old.element.replaceWith(made);
      shown[at] = { source, element: made };
    }
    for (const { element: surplus } of shown.splice(blocks.length)) surplus.remove();
  };

  /** @param {string} message */
  const fail = (message) => {
    isOver = true;
    status.className = 'status failed';
    status.role = 'alert';
    status.textContent = message;
  };

  return {
    element,
    fail,
    /** @param {PageEvent} event */
    add(event) {
      if (event.type === 'searching') status.textContent = 'Searching the documents';
      if (event.type === 'text') {
        text += removeCitationCharacters(event.value);
        status.textContent = 'Answering';
        show();
      }
      if (event.type === 'citation') {
        if (citations.length < CITATIONS_MAX) text += toCitationCharacter(citations.push(event) - 1);
        show();
      }
      if (event.type !== 'ended') return;
      isOver = true;
      const note = NOTES[event.status];
      if (event.status === 'completed') status.remove();
      else if (note === undefined) fail(event.error ?? `The answer is ${event.status}.`);
      else {
        status.className = 'status note';
        status.textContent = note;
      }
    },
    /** No more will come. */
    close() {
      if (!isOver) fail('The connection broke before the answer was whole. Reload the page to see the rest.');
    },
  };
}
