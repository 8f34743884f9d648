/**
 * The thread that holds the database. Its file is an entry point of its own, in the source as well as in
 * the compiled executable.
 *
 * Reads are answered as they arrive; writes wait for the next transaction.
 */

import { isBusy, toStoreError } from './faults.ts';
import { createPageReader } from './pages.ts';
import { type Call, OPEN_CALL, type OpenRequest, type ReadCall, type Reply } from './protocol.ts';
import { createRecordsByCollection } from './records.ts';
import { openDatabase } from './schema.ts';
import { closeDatabase } from './write-ahead-log.ts';
import { createWriter } from './writer.ts';

/** Reads meet a lock only while another process repairs the log after a crash or closes the file last. */
const READ_RETRY_MS = 2;

type Send = (replies: readonly Reply[]) => void;

/** Answers a function that takes batches of calls. Throws a `StoreError` where the file cannot be opened. */
function startEngine(request: OpenRequest, send: Send): (calls: readonly Call[]) => void {
  const database = openDatabase(request);
  const toRecords = createRecordsByCollection(database);
  const readPage = createPageReader(database, toRecords);
  const begin = database.prepare('BEGIN');
  const commit = database.prepare('COMMIT');
  const probe = database.prepare('SELECT count(*) FROM schema_collections');
  let replies: Reply[] = [];

  const flush = (): void => {
    if (replies.length === 0) return;
    send(replies);
    replies = [];
  };
  const reply = (one: Reply): void => {
    replies.push(one);
  };
  const writer = createWriter({ database, toRecords, lockWaitMs: request.lockWaitMs, reply, flush });

  const read = (call: ReadCall): Reply => {
    if (call[0] === 'get') {
      const [collection, tenant, parent, id] = call[2];
      const row = toRecords(collection).read(tenant, parent, id);
      return ['record', call[1], row?.document ?? null, row?.version ?? 0];
    }
    if (call[0] === 'list') {
      const page = readPage(call);
      return ['page', call[1], `[${page.documents.join(',')}]`, page.versions, page.hasMore, page.sortKeys];
    }
    probe.get();
    return ['done', call[1]];
  };

  const answerRead = (call: ReadCall, deadlineMs: number): void => {
    try {
      reply(read(call));
    } catch (error) {
      if (isBusy(error) && performance.now() < deadlineMs) {
        setTimeout(() => {
          answerRead(call, deadlineMs);
          flush();
        }, READ_RETRY_MS);
        return;
      }
      const { code, message } = toStoreError(error);
      reply(['error', call[1], code, message, null]);
    }
  };

  /** Several reads share one snapshot, which spares each its locks. */
  const answerReads = (reads: readonly ReadCall[]): void => {
    const deadlineMs = performance.now() + request.lockWaitMs;
    if (reads.length > 1) begin.run();
    for (const call of reads) answerRead(call, deadlineMs);
    if (reads.length > 1) commit.run();
  };

  const finish = (call: number): void => {
    writer.whenIdle(() => {
      closeDatabase(database);
      reply(['done', call]);
      flush();
    });
  };

  return (calls) => {
    const reads: ReadCall[] = [];
    for (const call of calls) {
      if (call[0] === 'write' || call[0] === 'deleteAll') writer.enqueue(call);
      else if (call[0] === 'close') finish(call[1]);
      else reads.push(call);
    }
    if (reads.length > 0) answerReads(reads);
    flush();
  };
}

declare const self: Pick<Worker, 'onmessage'>;

/** The first message opens the database, the others are batches of calls. */
function takeMessages(): void {
  let receive: ((calls: readonly Call[]) => void) | null = null;
  self.onmessage = (event: MessageEvent) => {
    if (receive !== null) {
      receive(event.data as readonly Call[]);
      return;
    }
    try {
      receive = startEngine(event.data as OpenRequest, (replies) => postMessage(replies));
      postMessage([['done', OPEN_CALL]] satisfies Reply[]);
    } catch (error) {
      const { code, message } = toStoreError(error);
      postMessage([['error', OPEN_CALL, code, message, null]] satisfies Reply[]);
    }
  };
}

takeMessages();
