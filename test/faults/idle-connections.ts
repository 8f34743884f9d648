/**
 * Many idle keep-alive connections, as a process of its own: `bun idle-connections.ts URL COUNT` opens them, has one request
 * answered on each, prints `{"open": COUNT}`, and holds them. A line on stdin has one more request answered on each and prints
 * `{"answered": COUNT}`; the end of stdin closes all.
 */

export {};

const [url = '', given = '0'] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const count = Number(given);
/** Connections that are being opened, or asked, at once: the server's queue of new ones is short. */
const AT_ONCE = 200;
const REQUEST = 'GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n';

interface Asking {
  /** Called with whether an answer came; null while nothing is asked. */
  settle: ((isAnswered: boolean) => void) | null;
}

type Connection = Bun.Socket<Asking>;

function settle(socket: Connection, isAnswered: boolean): void {
  socket.data.settle?.(isAnswered);
  socket.data.settle = null;
}

function ask(socket: Connection): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.data.settle = resolve;
  if (socket.write(REQUEST) < REQUEST.length) settle(socket, false);
  return promise;
}

async function open(): Promise<Connection> {
  const socket = await Bun.connect<Asking>({
    hostname,
    port: Number(port),
    data: { settle: null },
    socket: {
      data: (from) => settle(from, true),
      close: (from) => settle(from, false),
    },
  });
  if (!(await ask(socket))) throw new Error('A new connection was not answered.');
  return socket;
}

async function inLanes<T>(work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      results[index] = await work(index);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}

const sockets = await inLanes(open);
process.stdout.write(`${JSON.stringify({ open: sockets.length })}\n`);
for await (const _ of console) {
  const answers = await inLanes(async (index) => {
    const socket = sockets[index];
    return socket !== undefined && (await ask(socket));
  });
  process.stdout.write(`${JSON.stringify({ answered: answers.filter(Boolean).length })}\n`);
}
process.exit(0);
