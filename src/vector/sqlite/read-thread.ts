/**
 * The thread that reads the index. Its file is an entry point of its own, in the source as well as in the compiled
 * executable.
 */

import { StoreError } from '../../store/store.ts';
import type { ReadMethods } from './protocol.ts';
import { createReadEngine, type ReadEngine } from './read-engine.ts';
import { serveCalls } from './serve-calls.ts';

function takeCalls(): void {
  let opened: ReadEngine | null = null;
  const engine = (): ReadEngine => {
    if (opened === null) throw new StoreError('unavailable', 'The index is not open.');
    return opened;
  };
  serveCalls<ReadMethods>({
    open([request], reply) {
      opened = createReadEngine(request);
      reply.answer(null);
    },
    search: ([scope, query], reply) => engine().search(scope, query, reply),
    describe: ([scope], reply) => engine().describe(scope, reply),
    readChunks: ([scope, file, from, limit], reply) => engine().readChunks(scope, file, from, limit, reply),
    describeFile: ([scope, file], reply) => engine().describeFile(scope, file, reply),
    exportChunks: ([scope, file, from, limit], reply) =>
      engine().exportChunks(scope, file, from, limit, reply),
    getStatistics: (_, reply) => reply.answer(engine().getStatistics()),
    close: (_, reply) => engine().close(reply),
  });
}

takeCalls();
