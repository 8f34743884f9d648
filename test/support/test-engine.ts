/** The engine that the servers of the tests keep their data in. */

const VARIABLE = 'UNDERSTUDY_TEST_STORE';

/** `astra`: the emulation of it, in front of a node of its own. */
export type TestEngine = 'sqlite' | 'cassandra' | 'astra';

/** What UNDERSTUDY_TEST_STORE names; `sqlite` where it is not set. */
export function readTestEngine(): TestEngine {
  const name = process.env[VARIABLE] || 'sqlite';
  if (name === 'sqlite' || name === 'cassandra' || name === 'astra') return name;
  throw new Error(`${VARIABLE} is sqlite, cassandra or astra, not ${name}.`);
}
