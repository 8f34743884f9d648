/** The page of examples/document-questions in a real browser, with its own program, the real server and a scripted model. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { resolve } from 'node:path';
import { type Browser, findChromium, type Page, startBrowser } from '../support/browser.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTool, fail, hang, say, waitFor } from '../support/upstream-steps.ts';
import { type Answers, type QuestionPage, startQuestionPage, toScript } from './question-page.ts';

const ROOT = resolve(import.meta.dir, '../..');
/** The key that the page's program has: for the server, and never for the page. */
const KEY = 'sk-of-the-program-4711';
const START_MS = 60_000;
const WIDE = { width: 1200 };
const PHONE = { width: 390 };
const HOSTILE =
  '<script>document.title = "owned"</script> <img src="x" onerror="document.title=\'owned\'"> <b>bold</b> [a](javascript:alert(1))';

const chromium = findChromium();
if (chromium === null)
  console.warn('SKIPPED: the page of document questions. There is no Chromium on this machine.');

const SEARCH = [callTool('file_search', { queries: ['life jackets', 'HX-218'] })];
const gates = {
  stream: Promise.withResolvers<void>(),
  slow: Promise.withResolvers<void>(),
  left: Promise.withResolvers<void>(),
};
const answers: Answers = {
  'Who orders the life jackets?': (cite) => [
    SEARCH,
    [callTool('file_search', { queries: ['Ruderlager'] }, { id: 'call_second' })],
    [
      say('Tom Brandt orders them before'),
      waitFor(gates.stream.promise),
      say(
        ` the end of March${cite('Tom Brandt orders')}.\n\n- Forty of them end in June${cite('Forty of the')}.\n` +
          `- **HX-218** means hot cooling water${cite('HX-218')}.\n- The grease is EP-2${cite('Ruderlager abschmieren')}.`,
      ),
    ],
  ],
  'Never ends.': () => [[say('It begins'), hang()]],
  'Say HTML.': (cite) => [SEARCH, [say(...(`${HOSTILE}${cite('HX-218')}`.match(/[\s\S]{1,5}/g) ?? []))]],
  [HOSTILE]: () => [[say('Well.')]],
  'Fail.': () => [[fail(400, { message: `The model does not take the key ${KEY}.` })]],
  'And now?': () => [[say('Now it works.')]],
  'First tab?': () => [[say('One'), waitFor(gates.slow.promise), say(' is slow.')]],
  'Second tab?': () => [[say('Two is quick.')]],
  'Will you wait?': () => [[say('I'), waitFor(gates.left.promise), say(' went on.')]],
};

describe.skipIf(chromium === null)('the page', () => {
  let upstream: ScriptedUpstream;
  let server: TestServer;
  let page: QuestionPage;
  let browser: Browser;
  let environment: Record<string, string>;

  beforeAll(async () => {
    upstream = await startScriptedUpstream();
    const model = upstream.scriptBy('questions', toScript(answers));
    [server, browser] = await Promise.all([
      startServer({ env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'sk-operator' } }),
      startBrowser(chromium ?? ''),
    ]);
    environment = { UNDERSTUDY_URL: server.url, OPENAI_API_KEY: KEY, OPENAI_MODEL: model };
    page = await startQuestionPage(environment);
  }, START_MS);

  afterAll(async () => {
    for (const gate of Object.values(gates)) gate.resolve();
    await browser?.close();
    await page?.stop();
    await server?.stop();
    await upstream?.close();
  });

  const ask = async (tab: Page, question: string): Promise<void> => {
    await tab.click('#Question');
    await tab.type(question);
    await tab.press('Enter');
  };
  const IS_OVER = `document.querySelector('#Stop').hidden && document.querySelector('.answer') !== null`;
  /** Each answer as it is read, without its marks. */
  const readAnswers = (tab: Page) =>
    tab.evaluate(
      `[...document.querySelectorAll('.answer')].map((answer) => { const copy = answer.cloneNode(true);
        for (const mark of copy.querySelectorAll('.mark')) mark.remove(); return copy.textContent; })`,
    );
  const readScope = async (tab: Page): Promise<{ thread_id: string; run_id: string }> => {
    const threadId = String(await tab.evaluate(`new URLSearchParams(location.search).get('thread')`));
    const { data } = await server.client().beta.threads.runs.list(threadId);
    return { thread_id: threadId, run_id: data[0]?.id ?? '' };
  };
  const readStatus = async ({ thread_id, run_id }: { thread_id: string; run_id: string }) =>
    (await server.client().beta.threads.runs.retrieve(run_id, { thread_id })).status;
  /** What is shown at the side for each mark, in their order. */
  const openMarks = (tab: Page) =>
    tab.evaluate(
      `[...document.querySelectorAll('.mark')].map((mark) => { mark.click(); const source = document.querySelector('#Source');
        return [mark.textContent, source.querySelector('h2').textContent, source.querySelector('blockquote').textContent]; })`,
    );
  const SOURCES = [
    ['1', 'crew-meeting.docx', 'Tom Brandt orders them before the end of March.'],
    ['1', 'crew-meeting.docx', 'Forty of the life jackets reach the end of their time in June.'],
    ['2', 'ferry-handbook.pdf', expect.stringContaining('HX-218 means that the cooling water')],
    ['3', 'wartung.md', '- Ruderlager abschmieren: Fett EP-2, sechs Hübe je Lager.'],
  ];

  test('shows the documents, and an answer word by word while the run is still going on', async () => {
    await browser.open(page.url, WIDE);
    await browser.waitFor(`document.querySelectorAll('#Names li').length === 9`);
    await ask(browser, 'Who orders the life jackets?');
    await browser.waitFor(
      `document.querySelector('.answer p')?.textContent === 'Tom Brandt orders them before'`,
    );
    const scope = await readScope(browser);
    expect(await readStatus(scope)).toBe('in_progress');
    expect(await browser.evaluate(`document.querySelector('#Log').ariaBusy`)).toBe('true');
    gates.stream.resolve();
    await browser.waitFor(IS_OVER);
    expect(await readStatus(scope)).toBe('completed');
    expect(await readAnswers(browser)).toEqual([
      'Tom Brandt orders them before the end of March.Forty of them end in June.HX-218 means hot cooling water.The grease is EP-2.',
    ]);
    expect(
      await browser.evaluate(
        `[...document.querySelectorAll('.answer :is(li, strong)')].map(({ tagName }) => tagName)`,
      ),
    ).toEqual(['LI', 'LI', 'STRONG', 'LI']);
  });

  test('opens, for each numbered mark, the file, its score, and the very words within the passage', async () => {
    await browser.click('.mark');
    await browser.waitFor(`document.querySelector('#Source')?.hidden === false`);
    expect(await browser.evaluate(`document.querySelector('#Source meter').value > 0.1`)).toBe(true);
    expect(
      await browser.evaluate(
        `(({ textContent }, mark) => [textContent.includes('Yuki Sato has three offers'), mark.textContent])(
          ...document.querySelectorAll('#Source .passage, #Source .passage mark'))`,
      ),
    ).toEqual([true, 'Tom Brandt orders them before the end of March.']);
    await browser.press('Escape');
    expect(
      await browser.evaluate(`[document.querySelector('#Source').hidden, document.activeElement.ariaLabel]`),
    ).toEqual([true, 'Source 1: crew-meeting.docx']);
    expect(await openMarks(browser)).toEqual(SOURCES);
  });

  test('finds the conversation after a reload, with the same words and the same sources', async () => {
    const before = await readAnswers(browser);
    await browser.reload();
    await browser.waitFor(`document.querySelectorAll('.mark').length === 4`);
    expect(await readAnswers(browser)).toEqual(before);
    expect(await openMarks(browser)).toEqual(SOURCES);
    expect(await browser.evaluate(`document.querySelector('.question').textContent`)).toBe(
      'Who orders the life jackets?',
    );
    expect(await browser.evaluate(`document.querySelector('#Stop').hidden`)).toBe(true);
  });

  test('stops: the run is cancelled on the server, what was said stays, and the next question is answered', async () => {
    await browser.open(page.url, WIDE);
    await ask(browser, 'Never ends.');
    await browser.waitFor(`document.querySelector('.answer p')?.textContent === 'It begins'`);
    const scope = await readScope(browser);
    await browser.click('#Stop');
    await browser.waitFor(IS_OVER);
    expect(await readStatus(scope)).toBe('cancelled');
    expect(await readAnswers(browser)).toEqual(['It beginsStopped.']);
    await ask(browser, 'And now?');
    await browser.waitFor(`document.querySelectorAll('.answer')[1]?.textContent === 'Now it works.'`);
    await browser.reload();
    await browser.waitFor(`document.querySelectorAll('.answer').length === 2`);
    expect(await readAnswers(browser)).toEqual(['It beginsStopped.', 'Now it works.']);
  });

  test('takes nothing of an answer or a question for HTML, streamed or read again', async () => {
    await browser.open(page.url, WIDE);
    await ask(browser, 'Say HTML.');
    await browser.waitFor(`${IS_OVER} && document.querySelector('.mark') !== null`);
    await ask(browser, HOSTILE);
    await browser.waitFor(`document.querySelectorAll('.answer')[1]?.textContent === 'Well.'`);
    const look = async () => {
      expect(await readAnswers(browser)).toEqual([HOSTILE, 'Well.']);
      expect(await browser.evaluate(`document.querySelectorAll('.question')[1].textContent`)).toBe(HOSTILE);
      expect(
        await browser.evaluate(
          `[document.title, document.querySelectorAll('#Log :is(script, img, b, a), #Side :is(script, img, b, a)').length]`,
        ),
      ).toEqual(['Document questions', 0]);
    };
    await look();
    await browser.reload();
    await browser.waitFor(`document.querySelectorAll('.answer').length === 2`);
    await look();
  });

  test('says why an answer failed, without the key of the program, also after a reload', async () => {
    await browser.open(page.url, WIDE);
    await ask(browser, 'Fail.');
    const SAID = `document.querySelector('.failed[role=alert]')?.textContent.includes('does not take the key')`;
    await browser.waitFor(`${SAID} === true`);
    expect(await browser.evaluate(`document.documentElement.outerHTML`)).not.toContain(KEY);
    await browser.reload();
    await browser.waitFor(`${SAID} === true`);
    expect(await browser.evaluate(`document.documentElement.outerHTML`)).not.toContain(KEY);
    await ask(browser, 'And now?');
    await browser.waitFor(`document.querySelectorAll('.answer')[1]?.textContent === 'Now it works.'`);
  });

  test('is a conversation of its own in each tab, both at once', async () => {
    await browser.open(page.url, WIDE);
    const other = await browser.openTab();
    await other.open(page.url, WIDE);
    await ask(browser, 'First tab?');
    await browser.waitFor(`document.querySelector('.answer p')?.textContent === 'One'`);
    await ask(other, 'Second tab?');
    await other.waitFor(IS_OVER);
    expect(await browser.evaluate(`document.querySelector('#Stop').hidden`)).toBe(false);
    gates.slow.resolve();
    await browser.waitFor(IS_OVER);
    expect([await readAnswers(browser), await readAnswers(other)]).toEqual([
      ['One is slow.'],
      ['Two is quick.'],
    ]);
    expect((await readScope(browser)).thread_id).not.toBe((await readScope(other)).thread_id);
    expect(other.complaints()).toEqual([]);
  });

  test('left in the middle of an answer, it finds the run going on, and shows what came of it', async () => {
    await browser.open(page.url, WIDE);
    await ask(browser, 'Will you wait?');
    await browser.waitFor(`document.querySelector('.answer p')?.textContent === 'I'`);
    const scope = await readScope(browser);
    await browser.reload();
    await browser.waitFor(`!document.querySelector('#Stop').hidden`);
    expect(await readStatus(scope)).toBe('in_progress');
    gates.left.resolve();
    await browser.waitFor(`document.querySelector('.answer')?.textContent === 'I went on.'`);
    await browser.waitFor(IS_OVER);
    expect(await readStatus(scope)).toBe('completed');
  });

  test('fits a phone, with a source over the lower half', async () => {
    await browser.open(page.url, PHONE);
    await ask(browser, 'Say HTML.');
    await browser.waitFor(`${IS_OVER} && document.querySelector('.mark') !== null`);
    await browser.click('.mark');
    await browser.waitFor(`document.querySelector('#Source')?.hidden === false`);
    expect(
      await browser.evaluate(`document.documentElement.scrollWidth === document.documentElement.clientWidth`),
    ).toBe(true);
    await browser.click('#Source .close');
    expect(await browser.evaluate(`document.querySelector('aside').offsetHeight`)).toBe(0);
  });

  test('asks nobody else for anything, breaks none of its own rules, and holds no key', async () => {
    expect(browser.complaints()).toEqual([]);
    const asked = [...new Set(browser.requested())].filter((url) => url !== 'about:blank');
    expect(asked.filter((url) => !url.startsWith(page.url) && !url.startsWith('data:'))).toEqual([]);
    for (const url of asked.filter((one) => one.startsWith(page.url) && !one.endsWith('/ask'))) {
      const response = await fetch(url);
      expect(response.headers.get('content-security-policy') ?? '').toStartWith(
        "default-src 'none'; script-src 'self'",
      );
      expect(await response.text()).not.toContain(KEY);
    }
  });

  test('is answered to itself only: not to other sites, nor under another name', async () => {
    const post = (headers: Record<string, string>) =>
      fetch(`${page.url}/ask`, { method: 'POST', headers, body: JSON.stringify({ question: 'And now?' }) });
    const json = { 'content-type': 'application/json' };
    expect((await post({ ...json, origin: 'https://elsewhere.example' })).status).toBe(400);
    expect((await post({ 'content-type': 'text/plain' })).status).toBe(400);
    expect((await post({ ...json, host: 'elsewhere.example' })).status).toBe(403);
    const own = await post({ ...json, origin: page.url });
    expect(await own.text()).toContain('"value":" works."');
    expect((await fetch(`${page.url}/conversation?thread=../assistants`)).status).toBe(400);
    expect((await fetch(`${page.url}/conversation?thread=thread_none`)).status).toBe(404);
  });

  test('is there again after a second start, from the documents that were read at the first', async () => {
    const again = await startQuestionPage(environment);
    try {
      expect(page.output()).toContain('9 read, 0 not.');
      expect(again.output()).toContain('has been read before.');
      const client = server.client();
      const [stores, assistants] = await Promise.all([
        client.vectorStores.list(),
        client.beta.assistants.list(),
      ]);
      expect([stores.data.length, assistants.data.length]).toEqual([1, 1]);
      await browser.open(again.url, WIDE);
      await ask(browser, 'Say HTML.');
      await browser.waitFor(`document.querySelector('.mark')?.ariaLabel === 'Source 1: ferry-handbook.pdf'`);
    } finally {
      await again.stop();
    }
  });
});

test('what runs in the browser is right by the compiler', async () => {
  const project = 'examples/document-questions/page';
  const child = Bun.spawn([process.execPath, 'node_modules/typescript/bin/tsc', '--noEmit', '-p', project], {
    cwd: ROOT,
    stdout: 'pipe',
  });
  expect({ output: await new Response(child.stdout).text(), code: await child.exited }).toEqual({
    output: '',
    code: 0,
  });
});
