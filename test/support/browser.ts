/** A real Chromium without a window, driven by its own protocol; no package is needed for it. */

import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];
const START_MS = 20_000;
const CALL_MS = 15_000;
const POLL_MS = 25;
/** Of a page, in pixels, unless it is said. */
const HEIGHT = 900;

export interface View {
  /** In pixels of the page. */
  readonly width: number;
  readonly height?: number;
  /** Pixels of a picture for each pixel of the page. */
  readonly scale?: number;
}

/** One tab. */
export interface Page {
  /** Opens an address and waits until the page has loaded. */
  open(url: string, view: View): Promise<void>;
  reload(): Promise<void>;
  /** What the expression gives in the page, as JSON can say it. Errors: what it throws. */
  evaluate(expression: string): Promise<unknown>;
  /** Tries until the expression is true in the page. Errors: when it never is. */
  waitFor(expression: string): Promise<void>;
  /** A real click in the middle of the first element of this kind, on whatever lies there. Errors: there is none in sight. */
  click(selector: string): Promise<void>;
  /** Types into what has the focus. */
  type(text: string): Promise<void>;
  press(key: 'Enter' | 'Escape'): Promise<void>;
  /** What the page complained of: refusals of the policy, errors of scripts, failed loads. */
  complaints(): readonly string[];
  /** Addresses that were asked for. */
  requested(): readonly string[];
  screenshot(): Promise<Uint8Array>;
}

/** With one tab to begin with. */
export interface Browser extends Page {
  openTab(): Promise<Page>;
  close(): Promise<void>;
}

export function findChromium(): string | null {
  return PROGRAMS.map((name) => Bun.which(name)).find((path) => path !== null) ?? null;
}

export async function startBrowser(program: string): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'understudy-browser-'));
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--remote-debugging-port=0',
  ];
  const child = Bun.spawn([program, ...flags, `--user-data-dir=${profile}`, 'about:blank'], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  });
  const end = async () => {
    child.kill();
    await child.exited;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const origin = `http://127.0.0.1:${await readPort(profile)}`;
    const page = await attach(await findPage(origin));
    return { ...page, openTab: () => openTab(origin), close: end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Chromium writes down which port it has taken. */
async function readPort(profile: string): Promise<string> {
  const path = join(profile, 'DevToolsActivePort');
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; ) {
    const [port = ''] = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    if (port !== '') return port;
    await Bun.sleep(POLL_MS);
  }
  throw new Error('Chromium did not start.');
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Target {
  readonly type: string;
  readonly webSocketDebuggerUrl: string;
}

async function findPage(origin: string): Promise<Target> {
  const targets = (await (await fetch(`${origin}/json`)).json()) as readonly Target[];
  const target = targets.find(({ type }) => type === 'page');
  if (target === undefined) throw new Error('Chromium has no page.');
  return target;
}

async function openTab(origin: string): Promise<Page> {
  const answer = await fetch(`${origin}/json/new?about:blank`, { method: 'PUT' });
  return attach((await answer.json()) as Target);
}

type Call = (method: string, params?: Record<string, unknown>) => Promise<Record<string, unknown>>;

interface Connection {
  readonly call: Call;
  readonly complaints: readonly string[];
  readonly requested: readonly string[];
  /** How often a page has been loaded. */
  countLoads(): number;
}

async function connect(target: Target): Promise<Connection> {
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  const waiting = new Map<number, (message: Message) => void>();
  const complaints: string[] = [];
  const requested: string[] = [];
  let loaded = 0;
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    const { method, params = {} } = message;
    if (method === 'Page.loadEventFired') loaded++;
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded')
      complaints.push(JSON.stringify(params));
    if (method === 'Network.requestWillBeSent') requested.push((params.request as { url: string }).url);
  });
  let calls = 0;
  const call: Call = (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = ++calls;
      const timer = setTimeout(() => reject(new Error(`Chromium does not answer ${method}.`)), CALL_MS);
      waiting.set(id, ({ result = {}, error }) => {
        clearTimeout(timer);
        waiting.delete(id);
        if (error === undefined) resolve(result);
        else reject(new Error(error.message));
      });
      socket.send(JSON.stringify({ id, method, params }));
    });
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await call(`${domain}.enable`);
  return { call, complaints, requested, countLoads: () => loaded };
}

const KEYS = { Enter: { code: 13, text: '\r' }, Escape: { code: 27, text: '' } };

async function attach(target: Target): Promise<Page> {
  const { call, complaints, requested, countLoads } = await connect(target);
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result, exceptionDetails } = await call('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value?: unknown }).value;
  };
  const load = async (method: string, params: Record<string, unknown> = {}): Promise<void> => {
    const before = countLoads();
    await call(method, params);
    for (const deadline = Date.now() + CALL_MS; countLoads() === before; await Bun.sleep(POLL_MS)) {
      if (Date.now() > deadline) throw new Error(`The page does not load: ${method} ${params.url ?? ''}`);
    }
  };
  return {
    evaluate,
    async waitFor(expression) {
      for (const deadline = Date.now() + CALL_MS; Date.now() < deadline; ) {
        if ((await evaluate(expression)) === true) return;
        await Bun.sleep(POLL_MS);
      }
      throw new Error(`This never became true in the page: ${expression}`);
    },
    async open(url, { width, height = HEIGHT, scale = 1 }) {
      const metrics = { width, height, deviceScaleFactor: scale, mobile: false };
      await call('Emulation.setDeviceMetricsOverride', metrics);
      await load('Page.navigate', { url });
    },
    reload: () => load('Page.reload'),
    async click(selector) {
      const place = await evaluate(
        `(() => { const element = document.querySelector(${JSON.stringify(selector)});
          element?.scrollIntoView({ block: 'nearest' });
          const box = element?.getBoundingClientRect();
          return box && box.width > 0 ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : null; })()`,
      );
      if (place === null) throw new Error(`There is no ${selector} in sight.`);
      for (const type of ['mousePressed', 'mouseReleased'])
        await call('Input.dispatchMouseEvent', { type, ...(place as object), button: 'left', clickCount: 1 });
    },
    async type(text) {
      await call('Input.insertText', { text });
    },
    async press(key) {
      const { code, text } = KEYS[key];
      const event = { key, code: key, windowsVirtualKeyCode: code };
      await call('Input.dispatchKeyEvent', { type: 'keyDown', ...event, ...(text === '' ? {} : { text }) });
      await call('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
    },
    complaints: () => complaints,
    requested: () => requested,
    async screenshot() {
      const { data } = await call('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(String(data), 'base64');
    },
  };
}
