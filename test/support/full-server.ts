import { waitUntil } from './provider-calls.ts';

/**
 * A server whose queue of connections is full: a process that listens and never accepts. The kernel drops what comes
 * further, as a network does that leads nowhere.
 */
export async function startFullServer(): Promise<{ url: string; close: () => Promise<void> }> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/deaf-server.ts`], {
    stdout: 'pipe',
  });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value).trim());
  const sockets = new Set<{ terminate(): void }>();
  let waiting = 0;
  // Bun queues 512 connections whatever it is told: more are opened, until some of them wait.
  for (let i = 0; i < 560; i += 1) {
    waiting += 1;
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open(socket) {
          sockets.add(socket);
          waiting -= 1;
        },
        data() {},
      },
    }).catch(() => undefined);
  }
  await waitUntil(() => sockets.size >= 512 && waiting > 0);
  return {
    url: `http://127.0.0.1:${port}/v1`,
    async close() {
      for (const socket of sockets) socket.terminate();
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}
