/** The page: asks, shows the answer while it comes, opens the passages it rests on, and finds its conversation after a reload. */

import { createAnswer } from './answer.js';
import { readEvents } from './events.js';
import { closeSource, showSource } from './source.js';

const POLL_MS = 1000;
/** Half an hour: a run that takes longer is looked for again by a reload. */
const POLLS_MAX = 1800;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 */
function find(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`There is no ${id} on the page.`);
  return element;
}

const log = find('Log', HTMLElement);
const form = find('Form', HTMLFormElement);
const question = find('Question', HTMLTextAreaElement);
const sendButton = find('Send', HTMLButtonElement);
const stopButton = find('Stop', HTMLButtonElement);
const welcome = find('Welcome', HTMLElement);

/**
 * The conversation of this tab; its address carries the thread, so that a reload finds it, and other tabs have others.
 * `shown` is what `/conversation` said of it when it was last looked for.
 * @type {{ thread: string | null, run: string | null, isStopping: boolean, shown: string }}
 */
const state = {
  thread: new URLSearchParams(location.search).get('thread'),
  run: null,
  isStopping: false,
  shown: '',
};

/** @param {boolean} isAnswering */
function setAnswering(isAnswering) {
  sendButton.hidden = isAnswering;
  stopButton.hidden = !isAnswering;
  stopButton.disabled = false;
  log.ariaBusy = String(isAnswering);
  if (!isAnswering) {
    state.run = null;
    state.isStopping = false;
  }
}

/** @param {string} text */
function addQuestion(text) {
  welcome.hidden = true;
  const element = document.createElement('div');
  element.className = 'question';
  element.textContent = text;
  log.append(element);
}

function addAnswer() {
  const answer = createAnswer((citation, mark) => showSource(citation, mark));
  log.append(answer.element);
  return answer;
}

/** Keeps the end in view, unless the reader has scrolled up. */
function createFollower() {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  return () => {
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  };
}

/** @param {string} text */
async function ask(text) {
  addQuestion(text);
  const answer = addAnswer();
  log.scrollTop = log.scrollHeight;
  setAnswering(true);
  try {
    const asked = { question: text, ...(state.thread === null ? {} : { thread: state.thread }) };
    const response = await post('/ask', asked);
    for await (const event of readEvents(response)) {
      const follow = createFollower();
      if (event.type === 'started') await takeStart(event);
      answer.add(event);
      follow();
    }
    answer.close();
  } catch (error) {
    answer.fail(error instanceof Error ? error.message : String(error));
  }
  setAnswering(false);
  question.focus();
}

/** @param {{ thread: string, run: string }} started */
async function takeStart({ thread, run }) {
  state.thread = thread;
  state.run = run;
  history.replaceState(null, '', `?thread=${encodeURIComponent(thread)}`);
  if (state.isStopping) await stop();
}

/** Before the run is known, the wish is kept until it is. */
async function stop() {
  state.isStopping = true;
  stopButton.disabled = true;
  if (state.run === null) return;
  // A run that has ended meanwhile cannot be stopped, and need not be.
  await post('/stop', { thread: state.thread, run: state.run }).catch(() => undefined);
}

/**
 * @param {string} path
 * @param {object} body
 */
async function post(path, body) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await readMessage(response));
  return response;
}

/** @param {Response} response */
async function readMessage(response) {
  const body = await response.json().catch(() => null);
  return typeof body?.message === 'string' ? body.message : `The program answers ${response.status}.`;
}

async function showConversation() {
  const response = await fetch(`/conversation?thread=${encodeURIComponent(state.thread ?? '')}`);
  if (!response.ok) throw new Error(await readMessage(response));
  const text = await response.text();
  const { turns, running } = JSON.parse(text);
  // What has not changed since the last look stays as it is, with the mark that somebody may be at.
  if (text === state.shown) return /** @type {string | null} */ (running);
  state.shown = text;
  for (const element of log.querySelectorAll('.question, .answer')) element.remove();
  for (const turn of turns) {
    if (turn.role === 'user') addQuestion(turn.text);
    else {
      const answer = addAnswer();
      for (const piece of turn.pieces) answer.add(piece);
      answer.add(turn.ended ?? { type: 'searching' });
      if (turn.ended !== null) answer.close();
    }
  }
  if (running !== null && turns.at(-1)?.role === 'user') addAnswer();
  log.scrollTop = log.scrollHeight;
  return /** @type {string | null} */ (running);
}

/** An answer that was being made when the page was left goes on being made: it is shown when it is there. */
async function resume() {
  state.run = await showConversation();
  if (state.run === null) return;
  setAnswering(true);
  for (let polls = 0; polls < POLLS_MAX && state.run !== null; polls += 1) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    state.run = await showConversation();
  }
  setAnswering(false);
}

async function showAbout() {
  const { documents, questions } = await (await fetch('/about')).json();
  const toItem = (/** @type {string} */ name) => {
    const item = document.createElement('li');
    item.textContent = name;
    item.dataset.kind = name.split('.').at(-1)?.slice(0, 4) ?? '';
    return item;
  };
  find('Names', HTMLElement).append(...documents.map(toItem));
  const toSample = (/** @type {string} */ text) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = text;
    button.addEventListener('click', () => void ask(text));
    return button;
  };
  find('Samples', HTMLElement).append(...questions.map(toSample));
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (text === '' || sendButton.hidden) return;
  question.value = '';
  void ask(text);
});
question.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
stopButton.addEventListener('click', () => void stop());
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') closeSource();
});

void showAbout();
if (state.thread === null) welcome.hidden = false;
else resume().catch((error) => addAnswer().fail(error instanceof Error ? error.message : String(error)));
