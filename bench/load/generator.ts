/**
 * A load generator that takes as little of the machine as it can: prepared requests on raw connections, one under way on each.
 * `bun generator.ts URL KIND CONNECTIONS SECONDS PARAMS`, where PARAMS is a JSON object of `thread_ids` and `assistant_id`, prints
 * `begin` when it has warmed up, and in the end
 * `{ requests, errors, seconds, cpuSeconds, p50, p99 }`, times in milliseconds.
 */

export {};

const [url = '', kind = '', connections = '1', seconds = '1', given = '{}'] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const params = JSON.parse(given) as { thread_ids: readonly string[]; assistant_id: string };
const MODEL = 'understudy/rehearsal';
/** Not counted: connections are opened, code is compiled. */
const WARM_UP_SECONDS = 1;
const HEAD_END = '\r\n\r\n';
const LAST_CHUNK = '0\r\n\r\n';

function toRequest(method: string, path: string, body?: unknown): string {
  const text = body === undefined ? '' : JSON.stringify(body);
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n`;
  if (body === undefined) return `${head}\r\n`;
  return `${head}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}${HEAD_END}${text}`;
}

function toRequests(threadId: string): readonly string[] {
  const hello = { role: 'user', content: 'Hello, how are you?' };
  const read = toRequest('GET', `/v1/threads/${threadId}/messages?limit=20`);
  const write = toRequest('POST', `/v1/threads/${threadId}/messages`, hello);
  const run = toRequest('POST', '/v1/threads/runs', {
    assistant_id: params.assistant_id,
    thread: { messages: [hello] },
    stream: true,
  });
  const chat = toRequest('POST', '/v1/chat/completions', { model: MODEL, messages: [hello] });
  switch (kind) {
    case 'reads':
      return [read];
    case 'writes':
      return [write];
    case 'runs':
      return [run];
    case 'chats':
      return [chat];
    // What a program does: it looks more often than it says something.
    default:
      return [read, read, write, chat, read, read, run, read];
  }
}

const times: number[] = [];
let errors = 0;
let isCounting = false;
let isOver = false;

interface State {
  readonly requests: readonly string[];
  at: number;
  startedMs: number;
  received: string;
  /** Of the whole answer; null while its head is not there, or where it comes in chunks. */
  length: number | null;
}

function send(socket: Bun.Socket<State>): void {
  const state = socket.data;
  if (isOver) return void socket.end();
  state.received = '';
  state.length = null;
  state.startedMs = performance.now();
  socket.write(state.requests[state.at % state.requests.length] ?? '');
  state.at += 1;
}

function take(socket: Bun.Socket<State>, bytes: Buffer): void {
  const state = socket.data;
  state.received += bytes.toString('latin1');
  if (state.length === null) {
    const end = state.received.indexOf(HEAD_END);
    if (end === -1) return;
    const found = /content-length: (\d+)/i.exec(state.received.slice(0, end));
    if (found !== null) state.length = end + HEAD_END.length + Number(found[1]);
  }
  const isWhole =
    state.length === null ? state.received.endsWith(LAST_CHUNK) : state.received.length >= state.length;
  if (!isWhole) return;
  if (isCounting) {
    times.push(performance.now() - state.startedMs);
    if (!state.received.startsWith('HTTP/1.1 200')) errors += 1;
  }
  send(socket);
}

for (let index = 0; index < Number(connections); index += 1) {
  const threadId = params.thread_ids[index % params.thread_ids.length] ?? '';
  await Bun.connect<State>({
    hostname,
    port: Number(port),
    data: { requests: toRequests(threadId), at: index, startedMs: 0, received: '', length: null },
    socket: {
      open: send,
      data: take,
      close() {
        if (!isOver) errors += 1;
      },
    },
  });
}
await Bun.sleep(WARM_UP_SECONDS * 1_000);
process.stdout.write('begin\n');
const cpu = process.cpuUsage();
const startedMs = performance.now();
isCounting = true;
await Bun.sleep(Number(seconds) * 1_000);
isCounting = false;
const tookSeconds = (performance.now() - startedMs) / 1_000;
const spent = process.cpuUsage(cpu);
isOver = true;
const sorted = times.toSorted((a, b) => a - b);
const toQuantile = (part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
const figures = {
  requests: times.length,
  errors,
  seconds: tookSeconds,
  cpuSeconds: (spent.user + spent.system) / 1e6,
  p50: toQuantile(0.5),
  p99: toQuantile(0.99),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);
