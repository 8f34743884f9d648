/** A server that reads a document without end, tells the process's id, and waits to be killed. */

import { spawnReader } from '../../src/ingest/reader-child.ts';
import { AUTO, createTestReader, readAll } from './reading.ts';

const reader = createTestReader({
  spawn() {
    const child = spawnReader();
    process.stdout.write(`${child.pid}\n`);
    return child;
  },
});
const piece = new TextEncoder().encode('no end to it '.repeat(1000));
const bytes = new ReadableStream<Uint8Array>({
  pull(controller) {
    controller.enqueue(piece);
  },
});
await readAll(reader, { name: 'endless.txt', size: 60 * 1024 * 1024, bytes }, AUTO);
