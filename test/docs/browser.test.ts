/** The documentation in a real browser: the search, the theme, and narrow screens, without anything from elsewhere. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Browser, findChromium, startBrowser } from '../support/browser.ts';
import { startServer, type TestServer } from '../support/server.ts';

const START_MS = 60_000;
const WIDE = { width: 1400 };
const PHONE = { width: 390 };

const chromium = findChromium();
if (chromium === null)
  console.warn('SKIPPED: the documentation in a browser. There is no Chromium on this machine.');

describe.skipIf(chromium === null)('in a browser', () => {
  let server: TestServer;
  let browser: Browser;

  beforeAll(async () => {
    server = await startServer();
    browser = await startBrowser(chromium ?? '');
  }, START_MS);

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** As a reader types. */
  const type = async (text: string): Promise<void> => {
    await browser.evaluate(
      `(() => { const input = document.querySelector('#Search'); input.focus(); input.value = ${JSON.stringify(text)};
        input.dispatchEvent(new Event('input')); })()`,
    );
  };
  const press = (key: string) =>
    browser.evaluate(
      `document.querySelector('#Search').dispatchEvent(new KeyboardEvent('keydown', { key: '${key}', bubbles: true }))`,
    );

  test('a flag is typed, shown, and led to by the Enter key', async () => {
    await browser.open(`${server.url}/docs`, WIDE);
    await type('--cassandra-repl');
    await browser.waitFor(`document.querySelectorAll('#Hits a').length > 0`);
    expect(await browser.evaluate(`document.querySelector('#Hits strong').textContent`)).toContain(
      '--cassandra-replication',
    );
    expect(await browser.evaluate(`document.querySelector('#Hits mark') !== null`)).toBe(true);
    await press('Enter');
    await browser.waitFor(
      `location.pathname === '/docs/configuration' && document.readyState === 'complete'`,
    );
    await browser.waitFor(
      `document.querySelector(':target')?.textContent.includes('--cassandra-replication') ?? false`,
    );
  });

  test('the arrow keys go through what was found, from either end', async () => {
    await browser.open(`${server.url}/docs`, WIDE);
    await type('create thread');
    await browser.waitFor(`document.querySelectorAll('#Hits a').length > 3`);
    const chosen = () =>
      browser.evaluate(
        `[...document.querySelectorAll('#Hits a')].findIndex((a) => a.ariaSelected === 'true')`,
      );
    const count = Number(await browser.evaluate(`document.querySelectorAll('#Hits a').length`));
    const places = [await chosen()];
    for (const key of ['ArrowUp', 'ArrowDown', 'ArrowDown', 'ArrowUp']) {
      await press(key);
      places.push(await chosen());
    }
    expect(places).toEqual([-1, count - 1, 0, 1, 0]);
  });

  test('text that was typed is never taken for HTML, and what is not there is said', async () => {
    await browser.open(`${server.url}/docs/start`, WIDE);
    await type('<img src=x> zzyzx');
    await browser.waitFor(`document.querySelector('#Hits p')?.textContent === 'Nothing was found.'`);
    await press('Escape');
    expect(await browser.evaluate(`document.querySelector('#Hits').hidden`)).toBe(true);
  });

  test('every block of code has its button, and the theme is kept for the next page', async () => {
    await browser.open(`${server.url}/docs/start`, WIDE);
    expect(
      await browser.evaluate(
        `document.querySelectorAll('.copy').length === document.querySelectorAll('pre').length`,
      ),
    ).toBe(true);
    const paper = () => browser.evaluate(`getComputedStyle(document.body).backgroundColor`);
    const before = await paper();
    await browser.evaluate(`document.querySelector('#Theme').click()`);
    const after = await paper();
    expect(after).not.toBe(before);
    await browser.open(`${server.url}/docs/providers`, WIDE);
    expect(await paper()).toBe(after);
  });

  test('every picture of a page is shown, and is no wider than a phone', async () => {
    let shown = 0;
    for (const page of ['', '/architecture', '/benchmarks']) {
      await browser.open(`${server.url}/docs${page}`, PHONE);
      await browser.waitFor('[...document.images].every(({ complete }) => complete)');
      const widths = (await browser.evaluate(
        '[...document.images].map(({ naturalWidth, width }) => [naturalWidth, width])',
      )) as [number, number][];
      expect(widths.filter(([natural, width]) => natural === 0 || width > PHONE.width)).toEqual([]);
      shown += widths.length;
    }
    expect(shown).toBeGreaterThan(5);
  });

  test('no page is wider than a phone: tables and code scroll by themselves', async () => {
    for (const page of [
      '',
      '/start',
      '/configuration',
      '/providers',
      '/reference',
      '/architecture',
      '/metrics',
    ]) {
      await browser.open(`${server.url}/docs${page}`, PHONE);
      const { scrollWidth, clientWidth } = (await browser.evaluate(
        '(({ scrollWidth, clientWidth }) => ({ scrollWidth, clientWidth }))(document.documentElement)',
      )) as { scrollWidth: number; clientWidth: number };
      expect({ page, scrollWidth }).toEqual({ page, scrollWidth: clientWidth });
    }
  });

  test('nothing was asked of anybody else, and nothing was refused', () => {
    expect(browser.complaints()).toEqual([]);
    const others = browser.requested().filter((url) => !url.startsWith(server.url) && url !== 'about:blank');
    expect(others).toEqual([]);
    expect(browser.requested().length).toBeGreaterThan(20);
  });
});
