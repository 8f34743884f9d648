/** Sessions that break: what a server that dies, or a cluster that does not answer, does to an index. */

import { type CqlSession, UnknownOutcome } from '../../src/cassandra/session.ts';
import { StoreError } from '../../src/store/store.ts';

export interface DyingSession {
  readonly session: CqlSession;
  /** Whether it has died. */
  readonly isDead: () => boolean;
}

/** Passes so many writes on. Nothing comes through afterwards, as if the process had ended there. */
export function toDyingSession(session: CqlSession, writes: number): DyingSession {
  let left = writes;
  let isDead = false;
  const die = (): never => {
    isDead = true;
    throw new StoreError('unavailable', 'The process has ended.');
  };
  const spend = (): void => {
    if (isDead || left === 0) die();
    left -= 1;
  };
  const wrapped: CqlSession = {
    ...toPlain(session),
    read: async (statement) => (isDead ? die() : session.read(statement)),
    readSettled: async (statement) => (isDead ? die() : session.readSettled(statement)),
    async write(statement) {
      spend();
      await session.write(statement);
    },
    async writeTogether(statements) {
      if (statements.length === 0) return;
      spend();
      await session.writeTogether(statements);
    },
    async apply(statement) {
      spend();
      return await session.apply(statement);
    },
    async applyTogether(statements) {
      spend();
      return await session.applyTogether(statements);
    },
  };
  return { session: wrapped, isDead: () => isDead };
}

/** Every second conditional write is made, and its outcome is not told. */
export function toForgetfulSession(session: CqlSession): CqlSession {
  let calls = 0;
  const forget = <T>(answer: T): T => {
    calls += 1;
    if (calls % 2 === 1) throw new UnknownOutcome(new Error('The answer was lost.'));
    return answer;
  };
  return {
    ...toPlain(session),
    apply: async (statement) => forget(await session.apply(statement)),
    applyTogether: async (statements) => forget(await session.applyTogether(statements)),
  };
}

/** Methods of a class do not come along with a spread. */
function toPlain(session: CqlSession): CqlSession {
  return {
    keyspace: session.keyspace,
    read: (statement) => session.read(statement),
    readSettled: (statement) => session.readSettled(statement),
    readPages: (statement, pageRows) => session.readPages(statement, pageRows),
    write: (statement) => session.write(statement),
    writeTogether: (statements) => session.writeTogether(statements),
    apply: (statement) => session.apply(statement),
    applyTogether: (statements) => session.applyTogether(statements),
    define: (cql) => session.define(cql),
    getStatistics: () => session.getStatistics(),
    close: () => session.close(),
  };
}
