/** Gateways that users know, installed from their registries into a temporary folder and started beside us. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** Without a slash at its end. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly pid: number;
  stop(): Promise<void>;
}

interface PeerProgram {
  readonly name: string;
  readonly version: string;
  readonly command: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

const PORTKEY_VERSION = '1.15.2';
const LITELLM_VERSION = '1.108.7';
const START_MS = 90_000;
const MASTER_KEY = 'sk-bench-0123456789';

/** Portkey's gateway, of npm; needs Node. */
export function startPortkey(upstreamUrl: string): Promise<Peer> {
  return startPeer(async (folder, port) => {
    await install([
      'npm',
      'install',
      '--prefix',
      folder,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      `@portkey-ai/gateway@${PORTKEY_VERSION}`,
    ]);
    const program = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');
    return {
      name: 'Portkey',
      version: PORTKEY_VERSION,
      command: ['node', program, '--headless', `--port=${port}`],
      headers: {
        authorization: 'Bearer bench',
        'x-portkey-provider': 'openai',
        'x-portkey-custom-host': upstreamUrl,
      },
    };
  });
}

/** LiteLLM's proxy, of PyPI, one worker; null where there is no Python. */
export async function startLiteLlm(upstreamUrl: string): Promise<Peer | null> {
  const python = Bun.which('python3');
  if (python === null) return null;
  return await startPeer(async (folder, port) => {
    await install([python, '-m', 'venv', folder]);
    await install([join(folder, 'bin/pip'), 'install', '--quiet', `litellm[proxy]==${LITELLM_VERSION}`]);
    const config = join(folder, 'litellm.json');
    const parameters = { model: 'openai/*', api_base: upstreamUrl, api_key: 'bench' };
    // Its configuration is YAML, of which JSON is a part.
    await writeFile(
      config,
      JSON.stringify({ model_list: [{ model_name: '*', litellm_params: parameters }] }),
    );
    const flags = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'];
    return {
      name: 'LiteLLM',
      version: LITELLM_VERSION,
      command: [join(folder, 'bin/litellm'), ...flags],
      headers: { authorization: `Bearer ${MASTER_KEY}` },
      env: { LITELLM_MASTER_KEY: MASTER_KEY, LITELLM_LOG: 'ERROR' },
    };
  });
}

async function startPeer(prepare: (folder: string, port: number) => Promise<PeerProgram>): Promise<Peer> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-peer-'));
  const port = await findFreePort();
  const { name, version, command, headers, env = {} } = await prepare(folder, port);
  const child = Bun.spawn([...command], {
    env: { PATH: process.env.PATH ?? '', HOME: folder, ...env },
    stdout: 'ignore',
    stderr: 'ignore',
  });
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + START_MS;
  while (!(await answers(url))) {
    if (performance.now() > deadline || child.exitCode !== null) {
      await stop();
      throw new Error(`${name} did not start.`);
    }
    await Bun.sleep(200);
  }
  return { name, version, url, headers, pid: child.pid, stop };
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}

async function install(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdout: 'ignore', stderr: 'inherit' });
  if ((await child.exited) !== 0) throw new Error(`${command.at(-1)} cannot be installed.`);
}

async function findFreePort(): Promise<number> {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
  const { port = 0 } = server;
  await server.stop(true);
  return port;
}
