/**
 * The scripted upstream as its own process, for benchmarks: `bun test/support/upstream-server.ts --port 0`
 * prints its URL and runs until it is told to end.
 */

import { parseArgs } from 'node:util';
import { startScriptedUpstream } from './scripted-upstream.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
const upstream = await startScriptedUpstream({ port: Number(values.port), requestsMax: 0 });
process.stdout.write(`${upstream.url}\n`);

const stop = async (): Promise<void> => {
  await upstream.close();
  process.exit(0);
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
