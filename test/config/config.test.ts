/** The configuration: flag over variable over file, everything checked, no secret shown. */

import { describe, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import { toHelp } from '../../src/command-line.ts';
import { ConfigError, type Environment, parseConfig } from '../../src/config.ts';
import { SETTING_NAMES, SETTINGS, toVariable } from '../../src/settings.ts';

const KEY = 'sk-very-secret';

function parse(argv: readonly string[], env: Environment = {}, files: Readonly<Record<string, string>> = {}) {
  return parseConfig(argv, env, (path) => {
    const text = files[path];
    if (text === undefined) throw new Error('there is no such file');
    return text;
  });
}

function findProblems(
  argv: readonly string[],
  env: Environment = {},
  files: Readonly<Record<string, string>> = {},
) {
  try {
    parse(argv, env, files);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('where a value comes from', () => {
  const file = { 'a.yaml': 'port: 3\nlog-level: warn\ncors-origin: [https://a.example]\n' };

  test('a flag wins over a variable, a variable over the file, the file over the default', () => {
    const env = { UNDERSTUDY_PORT: '2', UNDERSTUDY_CONFIG: 'a.yaml' };
    expect(parse(['serve', '--port', '1'], env, file).settings.port).toBe(1);
    expect(parse(['serve'], env, file).settings.port).toBe(2);
    expect(parse(['--config=a.yaml'], {}, file).settings).toMatchObject({ port: 3, logLevel: 'warn' });
    expect(parse([]).settings).toMatchObject({ port: 8700, host: '127.0.0.1', workers: 1, logLevel: 'info' });
  });

  test('JSON does as well as YAML', () => {
    expect(parse(['--config', 'a.json'], {}, { 'a.json': '{"workers":2}' }).settings.workers).toBe(2);
  });

  test('lists come from repeated flags, and from variables with commas', () => {
    const flags = ['--allow-host', 'a', '--allow-host', 'b'];
    expect(parse(flags).settings.allowHosts).toEqual(['a', 'b']);
    expect(parse([], { UNDERSTUDY_ALLOW_HOST: 'a, b' }).settings.allowHosts).toEqual(['a', 'b']);
    expect(parse(['--config', 'a.yaml'], {}, file).settings.corsOrigins).toEqual(['https://a.example']);
  });

  test('the variable that Kubernetes sets for a service of this name is no port', () => {
    expect(parse([], { UNDERSTUDY_PORT: 'tcp://10.0.0.1:8700' }).settings.port).toBe(8700);
  });
});

describe('what is refused', () => {
  const refused: [string, string[], Environment, RegExp][] = [
    ['an unknown flag', ['--prot', '1'], {}, /Did you mean.*--port/],
    ['a port that is none', ['--port', '99999'], {}, /--port must be a whole number from 0 to 65535/],
    ['a variable that does not fit', [], { UNDERSTUDY_WORKERS: 'many' }, /UNDERSTUDY_WORKERS must be/],
    ['a store that is not built yet', ['--store', 'cassandra'], {}, /cassandra.*not built yet/],
    ['an authentication that is not built yet', ['--auth', 'keys'], {}, /keys.*not built yet/],
    ['the world, without saying so', ['--host', '0.0.0.0'], {}, /--allow-open/],
    ['a file that is not there', ['--config', 'no.yaml'], {}, /no\.yaml/],
    ['a base URL that is none', [], { OPENAI_BASE_URL: 'localhost:1234' }, /OPENAI_BASE_URL must be a URL/],
    ['a base URL with a password', [], { OPENAI_BASE_URL: 'http://a:b@c/v1' }, /OPENAI_BASE_URL/],
  ];
  for (const [what, argv, env, message] of refused) {
    test(what, () => {
      expect(findProblems(argv, env).join('\n')).toMatch(message);
    });
  }

  test('everything that is wrong is said at once', () => {
    expect(findProblems(['--port', 'x', '--workers', '0'], { UNDERSTUDY_BODY_LIMIT_MIB: '-1' })).toHaveLength(
      3,
    );
  });

  test('an unknown key of the file, with what was probably meant', () => {
    expect(findProblems(['--config', 'a.yaml'], {}, { 'a.yaml': 'prot: 1' })[0]).toContain(
      "Did you mean 'port'?",
    );
  });
});

describe('secrets', () => {
  test('a key shows neither in text nor in JSON, and is there where it is needed', () => {
    const config = parse([], { OPENAI_API_KEY: ` ${KEY}\n` });
    expect(config.openAiApiKey?.reveal()).toBe(KEY);
    for (const shown of [
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
      String(config.openAiApiKey),
      `${config.openAiApiKey}`,
    ]) {
      expect(shown).not.toContain(KEY);
    }
  });

  test('a key that no header can hold is refused without being shown', () => {
    const problems = findProblems([], { OPENAI_API_KEY: 'sk-ü-secret' });
    expect(problems[0]).toContain('OPENAI_API_KEY');
    expect(problems[0]).not.toContain('secret');
  });
});

test('the help names every flag, its variable and its default', () => {
  const help = toHelp();
  for (const name of SETTING_NAMES) {
    const { flag, fallback } = SETTINGS[name];
    expect(help).toContain(`--${flag}`);
    expect(help).toContain(toVariable(flag));
    if (typeof fallback !== 'boolean' && !Array.isArray(fallback)) expect(help).toContain(String(fallback));
  }
  for (const variable of ['OPENAI_API_KEY', 'OPENAI_BASE_URL']) expect(help).toContain(variable);
});
