/** The engine that the servers of the tests keep their data in. */

const VARIABLE = 'UNDERSTUDY_TEST_STORE';

export type TestEngine = 'sqlite' | 'cassandra';

/** What UNDERSTUDY_TEST_STORE names; `sqlite` where it is not set. */
export function readTestEngine(): TestEngine {
  const name = process.env[VARIABLE] || 'sqlite';
  if (name === 'sqlite' || name === 'cassandra') return name;
  if (name === 'astra')
    throw new Error(`${VARIABLE}=astra: no server of the tests can be started on Astra yet.`);
  throw new Error(`${VARIABLE} is sqlite or cassandra, not ${name}.`);
}
