/**
 * The thread that writes the index. Its file is an entry point of its own, in the source as well as in the compiled
 * executable.
 */

import { systemClock } from '../../clock.ts';
import { StoreError } from '../../store/store.ts';
import type { WriteMethods } from './protocol.ts';
import { serveCalls } from './serve-calls.ts';
import { createWriteEngine, type WriteEngine } from './write-engine.ts';

function takeCalls(): void {
  let opened: WriteEngine | null = null;
  const engine = (): WriteEngine => {
    if (opened === null) throw new StoreError('unavailable', 'The index is not open.');
    return opened;
  };
  serveCalls<WriteMethods>({
    open([request], reply) {
      opened = createWriteEngine(request, systemClock);
      reply.answer(null);
    },
    stage: ([scope, file, ingest, staged], reply) => engine().stage(scope, file, ingest, staged, reply),
    countStaged: ([scope, file, ingest], reply) => reply.answer(engine().countStaged(scope, file, ingest)),
    publish: ([scope, entry, ingest], reply) => engine().publish(scope, entry, ingest, reply),
    setAttributes: ([scope, file, attributes], reply) =>
      engine().setAttributes(scope, file, attributes, reply),
    removeFile: ([scope, file], reply) => engine().removeFile(scope, file, reply),
    removeStore: ([scope], reply) => engine().removeStore(scope, reply),
    getStatistics: (_, reply) => reply.answer(engine().getStatistics()),
    close: (_, reply) => engine().close(reply),
  });
}

takeCalls();
