/** The other files to deploy by: each names settings that there are, runs the program as the image does, and gives it the time to end. */

import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseConfig } from '../../src/config/config.ts';
import { SECRET_VARIABLES } from '../../src/config/secret-variables.ts';
import { SETTING_NAMES, SETTINGS, toVariable } from '../../src/config/settings.ts';
import { findText, findTexts, readCopies, readDockerfile, readEnvironment, toWords } from './dockerfile.ts';

const ROOT = resolve(import.meta.dir, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const COMPOSE = ['deploy/compose.yaml', 'deploy/compose.ollama.yaml'];
/** The primary kills workers so long after the drain. */
const KILL_AFTER_SECONDS = 7;

const KNOWN = [
  ...SETTING_NAMES.map((name) => toVariable(SETTINGS[name].flag)),
  ...SECRET_VARIABLES.map(({ name }) => name),
  'UNDERSTUDY_CONFIG',
];

// biome-ignore lint/suspicious/noExplicitAny: a file of any shape.
type Parsed = any;
const readYaml = (path: string): Parsed => Bun.YAML.parse(read(path));

describe('no file names a variable that means nothing', () => {
  const files = [
    ...COMPOSE,
    'deploy/understudy.service',
    'Dockerfile',
    'docs/deployment.md',
    'docs/kubernetes.md',
  ];
  for (const path of files) {
    test(path, () => {
      const named = read(path).match(/UNDERSTUDY_[A-Z_]+/g) ?? [];
      expect(named.filter((name) => !KNOWN.includes(name))).toEqual([]);
    });
  }
});

describe('the Dockerfile', () => {
  const stages = readDockerfile(read('Dockerfile'));
  const [build, final] = stages;
  if (build === undefined || final === undefined) throw new Error('The Dockerfile has not two stages.');

  test('ends with an image of nothing but what it copies', () => {
    expect(stages).toHaveLength(2);
    expect(final.from).toBe('scratch');
    expect(findTexts(final, 'RUN')).toEqual([]);
    for (const copy of readCopies(final)) expect(copy.from).toBe(build.name);
  });

  test('copies what there is, and what it is sent', () => {
    const sent = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = readCopies(build).flatMap(({ sources }) => sources);
    expect(copied.toSorted()).toEqual(sent.toSorted());
    for (const path of copied) expect(existsSync(join(ROOT, path))).toBe(true);
  });

  test('fetches packages by the lock file, and runs no script of theirs', () => {
    expect(findTexts(build, 'RUN')[0]).toMatch(/^npm ci --ignore-scripts/);
  });

  test('runs the program as nobody, probes it by itself, and stops it by the signal that it knows', () => {
    expect(findText(final, 'USER')).toBe('65532:65532');
    const program = '/usr/local/bin/understudy';
    expect(toWords(findText(final, 'ENTRYPOINT'))).toEqual([program]);
    expect(toWords(findText(final, 'CMD'))).toEqual(['serve']);
    expect(toWords(findText(final, 'HEALTHCHECK'))).toEqual([program, 'health']);
    expect(findText(final, 'STOPSIGNAL')).toBe('SIGTERM');
    expect(findText(final, 'EXPOSE')).toBe(String(SETTINGS.port.fallback));
    const { settings } = parseConfig([], readEnvironment(final), () => '');
    expect(settings.auth).toBe('keys');
    expect([settings.dataDirectory]).toEqual(toWords(findText(final, 'VOLUME')));
  });
});

describe('compose', () => {
  for (const path of COMPOSE) {
    const { services, volumes, secrets = {}, configs = {} } = readYaml(path);
    const { understudy } = services;

    test(`${path}: the server takes its configuration`, () => {
      const env = Object.fromEntries(
        Object.entries(understudy.environment as Record<string, string>).map(([name, value]) => [
          name,
          value.startsWith('${') ? 'a-secret-of-sixteen' : value,
        ]),
      );
      const texts: Record<string, string> = {};
      for (const { source, target } of understudy.configs ?? []) texts[target] = configs[source].content;
      for (const name of understudy.secrets ?? []) texts[`/run/secrets/${name}`] = 'sk-1';
      const image = readEnvironment(readDockerfile(read('Dockerfile'))[1] ?? failNoStage());
      const config = parseConfig([], { ...image, ...env }, (file) => texts[file] ?? failNoFile(file));
      expect(config.warnings).toEqual([]);
      expect(config.settings.auth).toBe('keys');
      // Longer than the drain, or runs that could finish are cut.
      const graceSeconds = Number.parseInt(understudy.stop_grace_period, 10);
      expect(graceSeconds).toBeGreaterThan(config.settings.drainSeconds + KILL_AFTER_SECONDS);
    });

    test(`${path}: the server may do and write nothing but in its volume, and is reached from this machine alone`, () => {
      expect(understudy.read_only).toBe(true);
      expect(understudy.cap_drop).toEqual(['ALL']);
      expect(understudy.tmpfs).toEqual(['/tmp']);
      for (const port of understudy.ports) expect(port).toStartWith('127.0.0.1:');
    });

    test(`${path}: whatever a service names is there, and what it waits for has a probe`, () => {
      for (const service of Object.values<Parsed>(services)) {
        for (const volume of service.volumes ?? []) expect(volumes).toHaveProperty([volume.split(':')[0]]);
        for (const name of service.secrets ?? []) expect(secrets).toHaveProperty([name]);
        for (const { source } of service.configs ?? []) expect(configs).toHaveProperty([source]);
        for (const [name, { condition }] of Object.entries<Parsed>(service.depends_on ?? {})) {
          expect(condition).toBe('service_healthy');
          expect(services[name].healthcheck.test.length).toBeGreaterThan(1);
        }
      }
    });
  }
});

describe('the unit of systemd', () => {
  const unit = read('deploy/understudy.service');
  const readKey = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1];
  const hasSystemd = Bun.which('systemd-analyze') !== null;
  if (!hasSystemd) console.error('SKIPPED: the unit cannot be verified: there is no systemd-analyze here.');

  test('tells the primary alone to stop, waits for its drain, and starts it again unless it is misused', () => {
    expect(readKey('KillMode')).toBe('mixed');
    expect(Number(readKey('TimeoutStopSec'))).toBeGreaterThan(
      SETTINGS.drainSeconds.fallback + KILL_AFTER_SECONDS,
    );
    expect(readKey('Restart')).toBe('on-failure');
    expect(readKey('RestartPreventExitStatus')).toBe('2');
    expect(readKey('ExecReload')).toBe('/bin/kill -HUP $MAINPID');
  });

  test('keeps the data where the server looks for it', () => {
    expect(readKey('Environment')).toBe(`UNDERSTUDY_DATA=/var/lib/${readKey('StateDirectory')}`);
  });

  test.skipIf(!hasSystemd)('is one that systemd understands, and exposes little', () => {
    const folder = mkdtempSync(join(tmpdir(), 'understudy-unit-'));
    try {
      const path = join(folder, 'understudy.service');
      // The program need not be installed here.
      writeFileSync(path, unit.replace('/usr/local/bin/understudy', '/bin/true'));
      const verified = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
      expect(verified.stderr.split('\n').filter((line) => line.includes('understudy'))).toEqual([]);
      expect(verified.status).toBe(0);
      const security = ['security', '--offline=true', '--threshold=20', path];
      const judged = spawnSync('systemd-analyze', security, { encoding: 'utf8' });
      expect(judged.stdout.trimEnd().split('\n').at(-1)).toMatch(/exposure level .*: [01]\.\d OK/);
      expect(judged.status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function failNoFile(path: string): never {
  throw new Error(`Nothing is mounted at ${path}.`);
}

function failNoStage(): never {
  throw new Error('The Dockerfile has no second stage.');
}
