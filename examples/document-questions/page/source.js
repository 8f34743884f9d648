/** The side of the page: the passage behind a mark, with the words that say it. */

/** @typedef {import('./events.js').Citation} Citation */

/** @type {HTMLElement | null} Where the reader came from. */
let opener = null;

/**
 * @param {string} tag
 * @param {string} className
 * @param {(Node | string)[]} children
 */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

function findParts() {
  return { source: document.getElementById('Source'), documents: document.getElementById('Documents') };
}

/**
 * @param {Citation} citation
 * @param {HTMLElement} mark
 */
export function showSource(citation, mark) {
  const { source, documents } = findParts();
  if (source === null || documents === null) return;
  opener?.classList.remove('open');
  opener = mark;
  opener.classList.add('open');
  const close = make('button', 'close', '×');
  close.ariaLabel = 'Close the source';
  close.addEventListener('click', closeSource);
  const quote = make('mark', '', citation.quote);
  const at = citation.quote === '' ? -1 : citation.passage.indexOf(citation.quote);
  const passage =
    at < 0
      ? make('p', 'passage', citation.passage || 'The passage is no longer kept.')
      : make(
          'p',
          'passage',
          citation.passage.slice(0, at),
          quote,
          citation.passage.slice(at + citation.quote.length),
        );
  source.replaceChildren(
    make('header', '', make('span', 'number', String(citation.number)), make('h2', '', citation.file), close),
    ...(citation.quote === '' ? [] : [make('blockquote', '', citation.quote)]),
    ...(citation.score === null ? [] : [toScore(citation.score)]),
    make('h3', '', 'In the document'),
    passage,
  );
  documents.hidden = true;
  source.hidden = false;
  source.ariaLabel = `Source ${citation.number}: ${citation.file}`;
  source.focus({ preventScroll: true });
  source.scrollTop = 0;
  if (at >= 0)
    passage.scrollTop = Math.max(0, quote.offsetTop - passage.offsetTop - passage.clientHeight / 3);
}

/** @param {number} score */
function toScore(score) {
  const meter = document.createElement('meter');
  meter.max = 1;
  meter.value = score;
  meter.ariaLabel = 'Score of the search';
  return make('p', 'score', 'Score ', meter, ` ${score.toFixed(2)}`);
}

export function closeSource() {
  const { source, documents } = findParts();
  if (source === null || documents === null || source.hidden) return;
  source.hidden = true;
  documents.hidden = false;
  opener?.classList.remove('open');
  opener?.focus();
  opener = null;
}
