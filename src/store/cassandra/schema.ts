/**
 * The tables of records and bytes.
 *
 * A record has one or two rows. The settled one (`kind` 1) is written by conditional writes alone; the first one (`kind` 0), which
 * only collections of many records that seldom change have, by plain writes alone: no row ever sees both, since the two take
 * their times from different clocks. Where both are there, the settled one is the record.
 */

import type { Migration } from '../../cassandra/schema.ts';

export const RECORDS_TABLE = 'records';
/** Records of the server itself, which come and go like those of a queue. */
export const QUEUE_TABLE = 'queue_records';

/** Kinds of rows. */
export const FIRST_ROW = 0;
export const SETTLED_ROW = 1;

/** Dead rows of a queue are in the way of whoever reads it: an hour is enough for nodes that were away to hear of them. */
const QUEUE_GRACE_SECONDS = 3600;

const COLUMNS = `
  tenant text, collection text, parent text,
  span text,
  sort text, id text, kind tinyint,
  version int, body text, packed blob, filters set<text>, aliased boolean, writers text, lock text,
  PRIMARY KEY ((tenant, collection, parent, span), sort, id, kind)`;
const ORDER = 'CLUSTERING ORDER BY (sort DESC, id DESC, kind DESC)';

/** `isManaged`: a service that has its own mind about the options of tables (Astra). */
export function toStoreMigrations(isManaged: boolean): readonly Migration[] {
  const queueOptions = isManaged ? '' : ` AND gc_grace_seconds = ${QUEUE_GRACE_SECONDS}`;
  const graceOptions = isManaged ? '' : ` WITH gc_grace_seconds = ${QUEUE_GRACE_SECONDS}`;
  const blobOptions = isManaged ? '' : " WITH compression = {'enabled': false}";
  return [
    {
      name: 'records-1',
      statements: [
        `CREATE TABLE IF NOT EXISTS ${RECORDS_TABLE} (${COLUMNS}) WITH ${ORDER}`,
        `CREATE TABLE IF NOT EXISTS ${QUEUE_TABLE} (${COLUMNS}) WITH ${ORDER}${queueOptions}`,
        // Where records stand whose id does not say it.
        `CREATE TABLE IF NOT EXISTS record_aliases (
          tenant text, collection text, parent text, id text, sort text, writers text,
          PRIMARY KEY ((tenant, collection, parent, id)))`,
        // What is left to do of writes of several records that have been decided: plain writes alone.
        `CREATE TABLE IF NOT EXISTS redo_notes (
          bucket text, id text, body text, packed blob, PRIMARY KEY ((bucket), id))${graceOptions}`,
        // What was decided of writes in which several records have a say: conditional writes alone.
        'CREATE TABLE IF NOT EXISTS verdicts (id text PRIMARY KEY, verdict text)',
        // Where the lists of a tenant are cut into partitions.
        `CREATE TABLE IF NOT EXISTS record_spans (
          tenant text, collection text, start text, PRIMARY KEY ((tenant, collection), start))`,
      ],
    },
    {
      name: 'blobs-1',
      statements: [
        `CREATE TABLE IF NOT EXISTS blob_pieces (
          tenant text, blob text, part int, piece int, bytes blob,
          PRIMARY KEY ((tenant, blob, part), piece))${blobOptions}`,
        'CREATE TABLE IF NOT EXISTS blob_parts (tenant text, blob text, part int, PRIMARY KEY ((tenant, blob), part))',
      ],
    },
  ];
}
