/** How Java is told to run a small Cassandra node. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface JavaSettings {
  readonly jarFolder: string;
  readonly confFolder: string;
  readonly directory: string;
  readonly heapMiB: number;
}

/** What Cassandra's own scripts open to it of Java's inside. */
const OPENS: Readonly<Record<string, readonly string[]>> = {
  'java.base': [
    'java.io',
    'java.lang',
    'java.lang.module',
    'java.lang.reflect',
    'java.math',
    'java.net',
    'java.nio',
    'java.util',
    'java.util.concurrent',
    'java.util.concurrent.atomic',
    'jdk.internal.loader',
    'jdk.internal.math',
    'jdk.internal.module',
    'jdk.internal.ref',
    'jdk.internal.reflect',
    'jdk.internal.util.jar',
    'sun.nio.ch',
  ],
  'java.rmi': ['java.rmi'],
  'jdk.compiler': ['com.sun.tools.javac.file'],
  'jdk.management': ['com.sun.management.internal'],
};

const EXPORTS: Readonly<Record<string, readonly string[]>> = {
  'java.base': [
    'java.lang.ref',
    'jdk.internal.misc',
    'jdk.internal.ref',
    'sun.nio.ch',
    'sun.security.action',
  ],
  'java.management.rmi': ['com.sun.jmx.remote.internal.rmi'],
  'java.rmi': ['sun.rmi.registry', 'sun.rmi.server', 'sun.rmi.transport', 'sun.rmi.transport.tcp'],
  'java.sql': ['java.sql'],
  'jdk.attach': ['sun.tools.attach'],
  'jdk.compiler': ['api', 'code', 'file', 'parser', 'tree', 'util'].map(
    (name) => `com.sun.tools.javac.${name}`,
  ),
  'jdk.unsupported': ['sun.misc'],
};

export function toJavaArguments({ jarFolder, confFolder, directory, heapMiB }: JavaSettings): string[] {
  return [
    '-da',
    '-Xms64m',
    `-Xmx${heapMiB}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:MaxDirectMemorySize=1g',
    '-Xss512k',
    '-XX:+PerfDisableSharedMem',
    '-XX:+ExitOnOutOfMemoryError',
    `-javaagent:${findAgent(jarFolder)}`,
    '-Djdk.attach.allowAttachSelf=true',
    '-Djava.net.preferIPv4Stack=true',
    '-Dio.netty.tryReflectionSetAccessible=true',
    `-Dcassandra.config=${pathToFileURL(join(confFolder, 'cassandra.yaml'))}`,
    `-Dlogback.configurationFile=${pathToFileURL(join(confFolder, 'logback.xml'))}`,
    `-Dcassandra.storagedir=${directory}`,
    '-Dcassandra-foreground=yes',
    '-Dcassandra.skip_wait_for_gossip_to_settle=0',
    '-Dcassandra.ring_delay_ms=1',
    '-Dcassandra.superuser_setup_delay_ms=0',
    // The passwords are the tests' own: there is nothing to make slow.
    '-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4',
    '-Dcassandra.initial_token=0',
    '-Dcassandra.disable_mlock=true',
    ...toModuleFlags('--add-opens', OPENS),
    ...toModuleFlags('--add-exports', EXPORTS),
    '-cp',
    `${confFolder}:${join(jarFolder, '*')}`,
    'org.apache.cassandra.service.CassandraDaemon',
  ];
}

function toModuleFlags(flag: string, packages: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(packages).flatMap(([module, names]) =>
    names.map((name) => `${flag}=${module}/${name}=ALL-UNNAMED`),
  );
}

/** Cassandra measures its objects with it. */
function findAgent(jarFolder: string): string {
  const name = readdirSync(jarFolder).find((file) => /^jamm-.*\.jar$/.test(file));
  if (name === undefined)
    throw new Error(`${jarFolder} has no jamm-*.jar; delete the folder to fetch it again`);
  return join(jarFolder, name);
}
