/** Vector databases of PyPI, installed into a temporary folder, with the same vectors: `vector-peers.py` asks them, each in a process of its own. */

import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface VectorPeer {
  readonly id: string;
  readonly name: string;
  readonly package: string;
  readonly version: string;
  /** Milliseconds of each question. */
  readonly times: readonly number[];
  /** The numbers of the nearest, for each question. */
  readonly numbers: readonly (readonly number[])[];
  /** What it took to take in all vectors. */
  readonly seconds: number;
}

export interface PeerQuestions {
  readonly dimensions: number;
  /** File by file, in the order of their numbers. */
  readonly vectors: Iterable<readonly Float32Array[]>;
  /** Those to warm up with first. */
  readonly questions: readonly Float32Array[];
  readonly warmUp: number;
  readonly wanted: number;
}

const PROGRAM = join(import.meta.dir, 'vector-peers.py');
const PACKAGES = Object.freeze({ chromadb: '1.5.9', lancedb: '0.40.0', 'faiss-cpu': '1.15.1' });
/** Graphs of 100,000 long vectors are made in minutes. */
const PEER_MS = 20 * 60_000;
const PEERS = Object.freeze([
  { id: 'faiss', name: 'faiss, HNSW in memory', package: 'faiss-cpu' },
  { id: 'chroma', name: 'Chroma, HNSW', package: 'chromadb' },
  { id: 'lancedb', name: 'LanceDB, exact', package: 'lancedb' },
  { id: 'lancedb-index', name: 'LanceDB, IVF-PQ', package: 'lancedb' },
] as const);

/** Null where there is no Python. */
export async function askVectorPeers(asked: PeerQuestions): Promise<readonly VectorPeer[] | null> {
  const python = Bun.which('python3');
  if (python === null) return null;
  const folder = await mkdtemp(join(tmpdir(), 'understudy-vector-peers-'));
  try {
    await run([python, '-m', 'venv', join(folder, 'venv')]);
    const packages = Object.entries(PACKAGES).map(([name, version]) => `${name}==${version}`);
    await run([join(folder, 'venv/bin/pip'), 'install', '--quiet', ...packages]);
    await writeVectors(join(folder, 'vectors.f32'), asked.vectors);
    await writeVectors(join(folder, 'questions.f32'), [asked.questions]);
    const found: VectorPeer[] = [];
    for (const { id, name, package: used } of PEERS) {
      const numbers = [asked.dimensions, asked.wanted, asked.warmUp].map(String);
      const text = await run([join(folder, 'venv/bin/python'), PROGRAM, id, folder, ...numbers]);
      found.push({ id, name, package: used, version: PACKAGES[used], ...JSON.parse(text.trim()) });
    }
    return found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeVectors(path: string, groups: Iterable<readonly Float32Array[]>): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const group of groups) {
      await file.writev(
        group.map((vector) => new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)),
      );
    }
  } finally {
    await file.close();
  }
}

/** What it printed. */
async function run(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: 'pipe', stderr: 'pipe', timeout: PEER_MS });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0)
    throw new Error(`${command.slice(0, 3).join(' ')} failed: ${errors.slice(-2000)}`);
  return output;
}
