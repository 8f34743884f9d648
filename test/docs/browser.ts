/** A real Chromium without a window, driven by its own protocol; no package is needed for it. */

import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];
const START_MS = 20_000;
const CALL_MS = 15_000;
const POLL_MS = 25;

export interface Browser {
  /** Opens an address and waits until the page has loaded. `width` in pixels. */
  open(url: string, width: number): Promise<void>;
  /** What the expression gives in the page, as JSON can say it. Errors: what it throws. */
  evaluate(expression: string): Promise<unknown>;
  /** Tries until the expression is true in the page. Errors: when it never is. */
  waitFor(expression: string): Promise<void>;
  /** What the pages complained of: refusals of the policy, errors of scripts, failed loads. */
  complaints(): readonly string[];
  /** Addresses that were asked for. */
  requested(): readonly string[];
  screenshot(): Promise<Uint8Array>;
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
    const page = await attach(await readPort(profile));
    return { ...page, close: end };
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

async function attach(port: string): Promise<Omit<Browser, 'close'>> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
    type: string;
    webSocketDebuggerUrl: string;
  }[];
  const target = targets.find(({ type }) => type === 'page');
  if (target === undefined) throw new Error('Chromium has no page.');
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
  const call = (method: string, params: Record<string, unknown> = {}) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
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

  const evaluate = async (expression: string): Promise<unknown> => {
    const { result, exceptionDetails } = await call('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value?: unknown }).value;
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
    async open(url, width) {
      await call('Emulation.setDeviceMetricsOverride', {
        width,
        height: 900,
        deviceScaleFactor: 1,
        mobile: false,
      });
      const before = loaded;
      await call('Page.navigate', { url });
      for (const deadline = Date.now() + CALL_MS; loaded === before; await Bun.sleep(POLL_MS)) {
        if (Date.now() > deadline) throw new Error(`${url} does not load.`);
      }
    },
    complaints: () => complaints,
    requested: () => requested,
    async screenshot() {
      const { data } = await call('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(String(data), 'base64');
    },
  };
}
