/** sqlite-vec, the baseline: all vectors one after the other, as 32-bit floats or as one bit a dimension. */

import { Database } from 'bun:sqlite';
import { getLoadablePath } from 'sqlite-vec';

export interface VecBaseline {
  readonly version: string;
  insert(first: number, vectors: readonly Float32Array[]): void;
  /** The numbers of the nearest, nearest first: exact. */
  findByFloats(query: Float32Array, wanted: number): readonly number[];
  findByBits(query: Float32Array, wanted: number): readonly number[];
  close(): void;
}

export function openVecBaseline(file: string, dimensions: number): VecBaseline {
  const database = new Database(file, { create: true });
  database.loadExtension(getLoadablePath());
  database.run('PRAGMA journal_mode = WAL');
  database.run('PRAGMA synchronous = OFF');
  database.run(
    `CREATE VIRTUAL TABLE IF NOT EXISTS floats USING vec0(vector float[${dimensions}] distance_metric=cosine)`,
  );
  database.run(`CREATE VIRTUAL TABLE IF NOT EXISTS bits USING vec0(vector bit[${dimensions}])`);
  const insertFloats = database.prepare<void, [number, Float32Array]>(
    'INSERT INTO floats (rowid, vector) VALUES (?, ?)',
  );
  const insertBits = database.prepare<void, [number, Float32Array]>(
    'INSERT INTO bits (rowid, vector) VALUES (?, vec_quantize_binary(?))',
  );
  const findFloats = database.prepare<{ rowid: number }, [Float32Array, number]>(
    'SELECT rowid FROM floats WHERE vector MATCH ? AND k = ? ORDER BY distance',
  );
  const findBits = database.prepare<{ rowid: number }, [Float32Array, number]>(
    'SELECT rowid FROM bits WHERE vector MATCH vec_quantize_binary(?) AND k = ? ORDER BY distance',
  );
  const insertAll = database.transaction((first: number, vectors: readonly Float32Array[]) => {
    for (const [index, vector] of vectors.entries()) {
      // Row ids begin at 1.
      insertFloats.run(first + index + 1, vector);
      insertBits.run(first + index + 1, vector);
    }
  });
  const toNumbers = (rows: readonly { rowid: number }[]) => rows.map(({ rowid }) => rowid - 1);
  const version = database.query<{ version: string }, []>('SELECT vec_version() AS version').get()?.version;
  return {
    version: (version ?? 'unknown').replace(/^v/, ''),
    insert: (first, vectors) => insertAll(first, vectors),
    findByFloats: (query, wanted) => toNumbers(findFloats.all(query, wanted)),
    findByBits: (query, wanted) => toNumbers(findBits.all(query, wanted)),
    close: () => database.close(),
  };
}
