/**
 * `node scripts/bun.mjs scripts/docs/screenshot.ts`: takes the picture of examples/document-questions anew that the README shows.
 * It needs a Chromium, and is run by hand when the page has changed.
 *
 * The server, the search and the page are the real ones. The language model is played: its one answer is written below, as a
 * model of today words it, so that the picture is the same wherever it is taken.
 */

import { join } from 'node:path';
import { startQuestionPage, toScript } from '../../test/examples/question-page.ts';
import { findChromium, startBrowser } from '../../test/support/browser.ts';
import { startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { startServer } from '../../test/support/server.ts';
import { callTool, say } from '../../test/support/upstream-steps.ts';
import { toPalettePng } from './palette-png.ts';

const PICTURE = join(import.meta.dir, '../../docs/pictures/document-questions.png');
const VIEW = { width: 1040, height: 590, scale: 1.5 };
const QUESTION = 'The display says HX-218, halfway across. What do I do now?';

const answers = {
  [QUESTION]: (cite: (words: string) => string) => {
    const code = cite('HX-218 means');
    const engines = cite('either of them alone brings her home');
    const tide = cite('no crossing is made at all');
    const plan = cite('Impeller der Seewasserpumpen');
    return [
      [
        callTool('file_search', {
          queries: ['HX-218', 'one engine alone', 'low water crossing', 'Impeller'],
        }),
      ],
      [
        say(
          `**HX-218** means that the cooling water is above 96 degrees${code}.\n\n` +
            `1. Stop that engine within a minute and let it cool for twenty minutes${code}.\n` +
            `2. Go on with the other one: either of them alone brings her home against a flood tide of three knots${engines}.\n` +
            `3. Look for a torn impeller${code}. They are changed every 1,000 hours, even when they look good${plan}.\n\n` +
            `Before you go back, look at the tide gauge: below 0.9 metres no crossing is made at all${tide}.`,
        ),
      ],
    ];
  },
};

const chromium = findChromium();
if (chromium === null) throw new Error('There is no Chromium on this machine.');
const upstream = await startScriptedUpstream();
const model = upstream.scriptBy('picture', toScript(answers));
const server = await startServer({ env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'sk-picture' } });
const page = await startQuestionPage({ UNDERSTUDY_URL: server.url, OPENAI_MODEL: model });
const browser = await startBrowser(chromium);
try {
  await browser.open(page.url, VIEW);
  await browser.evaluate(`document.querySelector('#Question').focus()`);
  await browser.type(QUESTION);
  await browser.press('Enter');
  await browser.waitFor(`document.querySelector('#Log').ariaBusy === 'false'`);
  await browser.click('.mark');
  await browser.waitFor(`document.querySelector('#Source blockquote') !== null`);
  const picture = toPalettePng(await browser.screenshot());
  await Bun.write(PICTURE, picture);
  console.log(`${PICTURE}: ${(picture.byteLength / 1024).toFixed(0)} KiB`);
} finally {
  await browser.close();
  await page.stop();
  await server.stop();
  await upstream.close();
}
