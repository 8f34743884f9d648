import { describe, expect, test } from 'bun:test';
import { join, resolve } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { parseCommandLine, toHelp } from '../../src/config/command-line.ts';
import { SETTING_NAMES, SETTINGS, toVariable } from '../../src/config/settings.ts';

const ROOT = resolve(import.meta.dir, '../..');

describe('which command', () => {
  test.each([
    [[], 'serve'],
    [['--port', '1'], 'serve'],
    [['serve', '--port', '1'], 'serve'],
    [['--port', '1', 'serve'], 'serve'],
    [['version'], 'version'],
    [['--version'], 'version'],
    [['-v'], 'version'],
    [['help'], 'help'],
    [['help', 'serve'], 'help'],
    [['serve', '--help'], 'help'],
    [['copy', '--from', 'sqlite:a', '--to', 'sqlite:b'], 'copy'],
    [['copy', '--from', 'sqlite:a', '--to', 'sqlite:b', '--tenant', 'x', '--verify-only'], 'copy'],
    [['--from', 'sqlite:a', 'copy', '--cassandra-username', 'u'], 'copy'],
    [['keys', 'create', '--project', 'x', '--scope', 'read', '--scope', 'run'], 'keys'],
    [['keys', 'revoke', 'key_x', '--data', 'd'], 'keys'],
    [['verify', '--base-url', 'http://h/v1', '--json'], 'verify'],
    [['-h'], 'help'],
  ] as const)('%p is %s', (argv, command) => {
    expect(parseCommandLine([...argv])).toMatchObject({ command, problems: [] });
  });

  test.each([
    [['sevre'], "There is no command 'sevre'. Did you mean 'serve'?"],
    [['frobnicate'], "There is no command 'frobnicate'. See --help."],
    [['serve', 'now'], "'now' is one word too many after 'serve'."],
    [['--from', 'sqlite:a'], "--from goes with the command 'copy' only."],
    [['--project', 'x'], "--project goes with the command 'keys' only."],
    [
      ['copy', '--from', 'a', '--to', 'b', '--json'],
      "--json goes with the commands 'keys', 'verify' and 'licenses' only.",
    ],
    [['copy', '--verfy-only'], 'There is no flag --verfy-only. Did you mean --verify-only?'],
    [['copy', '--from'], '--from needs a value.'],
  ] as const)('%p is none', (argv, problem) => {
    expect(parseCommandLine([...argv]).problems).toEqual([problem]);
  });
});

test('the help names every flag with its variable and default', () => {
  const help = toHelp();
  for (const name of SETTING_NAMES) {
    const { flag, fallback } = SETTINGS[name];
    expect(help).toContain(`--${flag}`);
    expect(help).toContain(`${toVariable(flag)}, default `);
    if (typeof fallback === 'number' || typeof fallback === 'string') {
      expect(help).toContain(`${toVariable(flag)}, default ${fallback === '' ? 'none' : fallback}\n`);
    }
  }
  expect(help).toContain('OPENAI_API_KEY');
  expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThan(160);
});

describe('the program', () => {
  const run = (args: readonly string[], env: Record<string, string> = {}) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(
      [process.execPath, join(ROOT, 'src/main.ts'), ...args],
      {
        env: { PATH: process.env.PATH ?? '', ...env },
        stdin: 'ignore',
      },
    );
    return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
  };

  test('prints its version, and nothing else', () => {
    expect(run(['version'])).toEqual({ exitCode: 0, stdout: `${manifest.version}\n`, stderr: '' });
  });

  test('prints its help on stdout', () => {
    expect(run(['--help'])).toEqual({ exitCode: 0, stdout: toHelp(), stderr: '' });
  });

  test('ends with 2 where it is misused, with a line for each mistake on stderr', () => {
    expect(run(['serve', '--prot', '1', '--workers', 'x'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'understudy: There is no flag --prot. Did you mean --port?\n' +
        'understudy: --workers must be a whole number from 1 to 64, not "x".\n',
    });
  });

  test('is no worker because somebody says so by hand', () => {
    const { exitCode, stderr } = run([], { UNDERSTUDY_INTERNAL_WORKER: '{}' });
    expect(exitCode).not.toBe(0);
    expect(stderr).toStartWith('understudy: ');
  });
});
