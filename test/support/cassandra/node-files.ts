/** The files that a node reads at its start: `cassandra.yaml`, `logback.xml`, and the certificates where there are any. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** PEM throughout. */
export interface ClientTls {
  /** The server's certificate, and those between it and its authority. */
  readonly certificate: string;
  /** PKCS 8, not encrypted. */
  readonly key: string;
  /** Clients must then show a certificate that this authority has signed. */
  readonly clientAuthority?: string;
  /** Whether clients without TLS are served too. */
  readonly isOptional?: boolean;
}

export interface NodeFiles {
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  readonly storagePort: number;
  readonly authenticator: 'none' | 'password';
  readonly commitLogSync: CommitLogSync;
  readonly clientTls: ClientTls | undefined;
}

/**
 * `batch` answers a write when the disk has it. `periodic`, Cassandra's own default, is faster, and SIGKILL takes the
 * acknowledged writes of the last 100 ms with it: the log is replayed up to its last marker.
 */
export type CommitLogSync = 'batch' | 'periodic';

/** Writes all of them into `conf` of the node's directory, whose path it answers. */
export async function writeNodeFiles(files: NodeFiles): Promise<string> {
  const folder = join(files.directory, 'conf');
  await mkdir(folder, { recursive: true });
  const yaml = [
    toPlacesYaml(files),
    SIZES_AND_TIMES,
    toCommitLogYaml(files),
    toAuthenticatorYaml(files),
    toTlsYaml(files, folder),
  ].join('');
  await writeFile(join(folder, 'cassandra.yaml'), yaml);
  await writeFile(join(folder, 'logback.xml'), LOGBACK);
  const { clientTls } = files;
  if (clientTls !== undefined) {
    await writeFile(join(folder, 'server.pem'), `${clientTls.key}\n${clientTls.certificate}\n`, {
      mode: 0o600,
    });
    await writeFile(join(folder, 'clients.pem'), clientTls.clientAuthority ?? clientTls.certificate);
  }
  return folder;
}

/** JSON strings are YAML strings too, so a folder with blanks or quotes in its name stands as it is. */
function toPlacesYaml({ directory, host, port, storagePort }: NodeFiles): string {
  const toPath = (name: string): string => JSON.stringify(join(directory, name));
  return `cluster_name: understudy-test
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "${host}:${storagePort}"}]}]
listen_address: ${host}
rpc_address: ${host}
storage_port: ${storagePort}
native_transport_port: ${port}
endpoint_snitch: SimpleSnitch
data_file_directories: [${toPath('data')}]
commitlog_directory: ${toPath('commitlog')}
saved_caches_directory: ${toPath('saved_caches')}
hints_directory: ${toPath('hints')}
cdc_raw_directory: ${toPath('cdc_raw')}
`;
}

/** Small caches and memtables, for a node that lives as long as a suite. */
const SIZES_AND_TIMES = `commitlog_segment_size: 16MiB
commitlog_total_space: 256MiB
commitlog_disk_access_mode: legacy
hinted_handoff_enabled: false
auto_snapshot: false
auto_bootstrap: false
storage_compatibility_mode: NONE
sstable: {selected_format: bti}
memtable: {configurations: {skiplist: {class_name: SkipListMemtable}, trie: {class_name: TrieMemtable}, default: {inherits: trie}}}
memtable_allocation_type: offheap_objects
memtable_heap_space: 64MiB
memtable_offheap_space: 256MiB
default_secondary_index: sai
default_secondary_index_enabled: true
materialized_views_enabled: false
user_defined_functions_enabled: false
sasi_indexes_enabled: false
concurrent_reads: 16
concurrent_writes: 16
concurrent_compactors: 2
compaction_throughput: 0MiB/s
key_cache_size: 16MiB
counter_cache_size: 2MiB
file_cache_enabled: false
networking_cache_size: 32MiB
batch_size_warn_threshold: 64KiB
batch_size_fail_threshold: 640KiB
native_transport_max_frame_size: 16MiB
dynamic_snitch: false
internode_compression: none
cas_contention_timeout: 5000ms
read_request_timeout: 10000ms
range_request_timeout: 20000ms
write_request_timeout: 10000ms
request_timeout: 20000ms
truncate_request_timeout: 60000ms
`;

function toCommitLogYaml({ commitLogSync }: NodeFiles): string {
  if (commitLogSync === 'batch') return 'commitlog_sync: batch\n';
  return 'commitlog_sync: periodic\ncommitlog_sync_period: 10000ms\n';
}

function toAuthenticatorYaml({ authenticator }: NodeFiles): string {
  if (authenticator === 'none') {
    return 'authenticator: AllowAllAuthenticator\nauthorizer: AllowAllAuthorizer\n';
  }
  // Without the caches, a role or a permission that a test takes away is gone at once.
  return `authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
roles_validity: 0ms
permissions_validity: 0ms
credentials_validity: 0ms
`;
}

function toTlsYaml({ clientTls }: NodeFiles, folder: string): string {
  if (clientTls === undefined) return '';
  return `client_encryption_options:
  enabled: true
  optional: ${clientTls.isOptional === true}
  ssl_context_factory: {class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}
  keystore: ${JSON.stringify(join(folder, 'server.pem'))}
  truststore: ${JSON.stringify(join(folder, 'clients.pem'))}
  require_client_auth: ${clientTls.clientAuthority !== undefined}
`;
}

const LOGBACK = `<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
`;
