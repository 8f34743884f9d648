import { describe, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import { type Config, ConfigError, parseConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/config-sources.ts';
import { SETTING_NAMES, SETTINGS, type SettingName, toVariable } from '../../src/config/settings.ts';
import { AUTHORITY, CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.ts';

const FILE = 'settings.yaml';

/** Files that settings name, which are looked at. */
const PEM_FILES: Readonly<Record<string, string>> = {
  'a.pem': CERTIFICATE,
  '/etc/a.pem': CERTIFICATE,
  'a.key': CERTIFICATE_KEY,
  '/etc/a.key': CERTIFICATE_KEY,
  'ca.pem': AUTHORITY,
  '/etc/ca.pem': AUTHORITY,
};
/** What a setting does not come without. */
const COMPANIONS: Readonly<Partial<Record<SettingName, Environment>>> = {
  tlsCert: { UNDERSTUDY_TLS_KEY: 'a.key' },
  tlsKey: { UNDERSTUDY_TLS_CERT: 'a.pem' },
  tlsCa: { UNDERSTUDY_TLS_KEY: 'a.key', UNDERSTUDY_TLS_CERT: 'a.pem' },
};

/** What the settings come to, with the text of `settings.yaml` if there is one. */
function parse(argv: readonly string[], env: Environment = {}, file?: string, path = FILE): Config {
  return parseConfig(file === undefined ? argv : ['--config', path, ...argv], env, (asked) => {
    const pem = PEM_FILES[asked];
    if (pem !== undefined) return pem;
    if (file === undefined || asked !== path) throw new Error(`ENOENT: no such file, open '${asked}'`);
    return file;
  });
}

function problemsOf(...args: Parameters<typeof parse>): readonly string[] {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** For each setting two values beside its default, as text of a flag or variable, as a file has it, and parsed. */
const SAMPLES: Readonly<
  Record<SettingName, readonly (readonly [text: string, inFile: string, value: unknown])[]>
> = {
  host: [
    ['localhost', 'localhost', 'localhost'],
    ['127.0.0.9', '127.0.0.9', '127.0.0.9'],
  ],
  metricsAllow: [
    ['10.0.0.0/8', '[10.0.0.0/8]', ['10.0.0.0/8']],
    ['fd00::1', '"fd00::1"', ['fd00::1']],
  ],
  tlsCert: [
    ['a.pem', 'a.pem', 'a.pem'],
    ['/etc/a.pem', '/etc/a.pem', '/etc/a.pem'],
  ],
  tlsKey: [
    ['a.key', 'a.key', 'a.key'],
    ['/etc/a.key', '/etc/a.key', '/etc/a.key'],
  ],
  tlsCa: [
    ['ca.pem', 'ca.pem', 'ca.pem'],
    ['/etc/ca.pem', '/etc/ca.pem', '/etc/ca.pem'],
  ],
  port: [
    ['9000', '9000', 9000],
    ['0', '0', 0],
  ],
  workers: [
    ['4', '4', 4],
    ['64', '64', 64],
  ],
  balance: [
    ['kernel', 'kernel', 'kernel'],
    ['primary', 'primary', 'primary'],
  ],
  fileMib: [
    ['1', '1', 1],
    ['2048', '2048', 2048],
  ],
  dataDirectory: [
    ['/var/lib/a', '/var/lib/a', '/var/lib/a'],
    ['b', 'b', 'b'],
  ],
  store: [['sqlite', 'sqlite', 'sqlite']],
  cassandraContactPoints: [
    ['node.lan', '[node.lan]', ['node.lan']],
    ['10.0.0.5:9042', '"10.0.0.5:9042"', ['10.0.0.5:9042']],
  ],
  cassandraLocalDatacenter: [
    ['dc1', 'dc1', 'dc1'],
    ['dc2', 'dc2', 'dc2'],
  ],
  cassandraKeyspace: [
    ['assistants', 'assistants', 'assistants'],
    ['a_1', 'a_1', 'a_1'],
  ],
  cassandraReplication: [
    ['dc1:3', '["dc1:3"]', ['dc1:3']],
    ['dc2:1', '"dc2:1"', ['dc2:1']],
  ],
  cassandraConsistency: [
    ['QUORUM', 'QUORUM', 'QUORUM'],
    ['LOCAL_ONE', 'LOCAL_ONE', 'LOCAL_ONE'],
  ],
  cassandraUsername: [
    ['me', 'me', 'me'],
    ['you', 'you', 'you'],
  ],
  cassandraTls: [
    ['true', 'true', true],
    ['off', 'false', false],
  ],
  cassandraCaFile: [
    ['/a.pem', '/a.pem', '/a.pem'],
    ['b.pem', 'b.pem', 'b.pem'],
  ],
  cassandraCertFile: [
    ['/a.pem', '/a.pem', '/a.pem'],
    ['b.pem', 'b.pem', 'b.pem'],
  ],
  cassandraKeyFile: [
    ['/a.pem', '/a.pem', '/a.pem'],
    ['b.pem', 'b.pem', 'b.pem'],
  ],
  auth: [['none', 'none', 'none']],
  astraDatabase: [
    ['assistants', 'assistants', 'assistants'],
    ['other', 'other', 'other'],
  ],
  astraKeyspace: [
    ['assistants', 'assistants', 'assistants'],
    ['a_1', 'a_1', 'a_1'],
  ],
  astraCreate: [
    ['aws:us-east-2', 'aws:us-east-2', 'aws:us-east-2'],
    ['gcp:us-east1', '"gcp:us-east1"', 'gcp:us-east1'],
  ],
  astraSessions: [
    ['10', '10', 10],
    ['200', '200', 200],
  ],
  astraApiUrl: [
    ['https://astra.example', 'https://astra.example', 'https://astra.example'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ],
  allowOpen: [
    ['true', 'true', true],
    ['off', 'false', false],
  ],
  allowHosts: [
    ['box.lan', '[box.lan]', ['box.lan']],
    ['other.lan', 'other.lan', ['other.lan']],
  ],
  allowUpstreams: [
    ['models.lan:8000', '[models.lan:8000]', ['models.lan:8000']],
    ['10.0.0.5', '10.0.0.5', ['10.0.0.5']],
  ],
  onlyUpstreams: [
    ['models.lan:8000', '[models.lan:8000]', ['models.lan:8000']],
    ['10.0.0.5', '10.0.0.5', ['10.0.0.5']],
  ],
  corsOrigins: [
    ['https://app.example', '["https://app.example"]', ['https://app.example']],
    ['*', '"*"', ['*']],
  ],
  bodyMib: [
    ['1', '1', 1],
    ['64', '64', 64],
  ],
  runExpiresSeconds: [
    ['60', '60', 60],
    ['1', '1', 1],
  ],
  embeddingModel: [
    ['text-embedding-3-small', 'text-embedding-3-small', 'text-embedding-3-small'],
    ['bge-m3', 'bge-m3', 'bge-m3'],
  ],
  embeddingDimensions: [
    ['512', '512', 512],
    ['0', '0', 0],
  ],
  rewriteModel: [
    ['gpt-4o-mini', 'gpt-4o-mini', 'gpt-4o-mini'],
    ['llama3', 'llama3', 'llama3'],
  ],
  ingestProcesses: [
    ['1', '1', 1],
    ['4', '4', 4],
  ],
  ingestMemoryMib: [
    ['512', '512', 512],
    ['2048', '2048', 2048],
  ],
  ingestSeconds: [
    ['60', '60', 60],
    ['1', '1', 1],
  ],
  drainSeconds: [
    ['0', '0', 0],
    ['30', '30', 30],
  ],
  logLevel: [
    ['debug', 'debug', 'debug'],
    ['silent', 'silent', 'silent'],
  ],
};

describe.each([...SETTING_NAMES])('%s', (name) => {
  const { flag, fallback } = SETTINGS[name];
  const variable = toVariable(flag);
  const samples = SAMPLES[name];
  const [first] = samples;
  const second = samples[1] ?? first;
  if (first === undefined || second === undefined) throw new Error(`${name} has no samples`);

  const rest = COMPANIONS[name] ?? {};

  test('has its default where nothing sets it', () => {
    expect(parse([]).settings[name]).toEqual(fallback);
  });

  test('is set by its flag, in both spellings', () => {
    expect(parse([`--${flag}=${first[0]}`], rest).settings[name]).toEqual(first[2] as never);
    const { argument } = SETTINGS[name];
    if (argument !== null)
      expect(parse([`--${flag}`, first[0]], rest).settings[name]).toEqual(first[2] as never);
  });

  test('is set by its variable, and by its place in a file', () => {
    expect(parse([], { ...rest, [variable]: first[0] }).settings[name]).toEqual(first[2] as never);
    expect(parse([], rest, `${flag}: ${first[1]}\n`).settings[name]).toEqual(first[2] as never);
  });

  test('takes the flag over the variable, and the variable over the file', () => {
    const env = { ...rest, [variable]: second[0] };
    const file = `${flag}: ${first[1]}\n`;
    expect(parse([], env, file).settings[name]).toEqual(second[2] as never);
    expect(parse([`--${flag}=${first[0]}`], env, file).settings[name]).toEqual(first[2] as never);
  });

  test('is unset where its variable is empty', () => {
    expect(parse([], { ...rest, [variable]: ' ' }, `${flag}: ${first[1]}\n`).settings[name]).toEqual(
      first[2] as never,
    );
  });
});

describe('lists', () => {
  test('grow with each flag, and are parted by commas in a variable', () => {
    expect(parse(['--allow-host', 'a', '--allow-host=b']).settings.allowHosts).toEqual(['a', 'b']);
    expect(parse([], { UNDERSTUDY_ALLOW_HOST: 'a, b,' }).settings.allowHosts).toEqual(['a', 'b']);
  });
});

describe('switches', () => {
  test.each([
    [['--allow-open'], true],
    [['--no-allow-open'], false],
    [['--allow-open', '--no-allow-open'], false],
    [['--allow-open=false'], false],
  ] as const)('%p', (argv, value) => {
    expect(parse([...argv]).settings.allowOpen).toBe(value);
  });
});

describe('files', () => {
  test('may be JSON, and be named by a variable', () => {
    const config = parseConfig(
      [],
      { UNDERSTUDY_CONFIG: 'a.json' },
      () => '{"port": 1234, "allow-host": ["x"]}',
    );
    expect(config.settings.port).toBe(1234);
    expect(config.settings.allowHosts).toEqual(['x']);
  });

  test('may be empty', () => {
    expect(parse([], {}, '# nothing\n').settings.port).toBe(SETTINGS.port.fallback);
  });
});

describe('what is refused, and in which words', () => {
  const REFUSED: readonly (readonly [Parameters<typeof parse>, string])[] = [
    [[['--prot', '9000']], 'There is no flag --prot. Did you mean --port?'],
    [[['--frobnicate']], 'There is no flag --frobnicate. See --help.'],
    [[['--port']], '--port needs a value.'],
    [[['--port', '--workers', '2']], '--port needs a value.'],
    [[['--port', 'x']], '--port must be a whole number from 0 to 65535, not "x".'],
    [[['--port', '65536']], '--port must be a whole number from 0 to 65535, not 65536.'],
    [[['--port=-1']], '--port must be a whole number from 0 to 65535, not "-1".'],
    [[['--port', '1e3']], '--port must be a whole number from 0 to 65535, not "1e3".'],
    [[['--workers', '0']], '--workers must be a whole number from 1 to 64, not 0.'],
    [[[], { UNDERSTUDY_PORT: 'x' }], 'UNDERSTUDY_PORT must be a whole number from 0 to 65535, not "x".'],
    [[[], {}, 'port: [1]'], "'port' in settings.yaml must be a whole number from 0 to 65535, not [1]."],
    [[['--allow-open=perhaps']], '--allow-open must be true or false, not "perhaps".'],
    [[['--log-level', 'loud']], '--log-level must be debug, info, warn, error or silent, not "loud".'],
    [
      [['--store', 'astra']],
      '--store astra needs a token in ASTRA_DB_APPLICATION_TOKEN, or --auth astra, with which every request brings its own.',
    ],
    [[['--auth', 'astra']], '--auth astra goes with --store astra only.'],
    [
      [['--store', 'astra'], { ASTRA_DB_APPLICATION_TOKEN: 'AstraCS:x', ASTRA_DB_ID: 'mine' }],
      'ASTRA_DB_ID must be the id of a database, like 01234567-89ab-cdef-0123-456789abcdef.',
    ],
    [
      [['--store', 'cassandra']],
      '--store cassandra needs a node to begin with: --cassandra-contact-points HOST.',
    ],
    [
      [['--cassandra-keyspace', 'No']],
      '--cassandra-keyspace must be a name of lower-case letters, digits and underscores, at most 48 characters, not "No".',
    ],
    [
      [['--cassandra-contact-points', 'a b']],
      '--cassandra-contact-points must be nodes like cassandra.example or 10.0.0.5:9042, not ["a b"].',
    ],
    [
      [['--cassandra-replication', 'three']],
      '--cassandra-replication must be data centres and copies like dc1:3, not ["three"].',
    ],
    [[['--auth', 'key']], '--auth must be none, keys or astra, not "key".'],
    [[['--store', 'mysql']], '--store must be sqlite, cassandra or astra, not "mysql".'],
    [
      [['--cors-origin', 'app.example']],
      '--cors-origin must be origins like https://app.example, or *, not ["app.example"].',
    ],
    [[['--data', '~/x']], '--data ~/x: only a shell knows what ~ means. Write the whole path.'],
    [[[], {}, 'prot: 1'], "There is no setting 'prot', which settings.yaml names. Did you mean 'port'?"],
    [
      [[], {}, 'allow_open: true'],
      "There is no setting 'allow_open', which settings.yaml names. Did you mean 'allow-open'?",
    ],
    [
      [[], {}, '- port'],
      'The configuration file settings.yaml cannot be used: it must hold settings by name, like `port: 8700`.',
    ],
    [
      [['--config', 'gone.yaml']],
      "The configuration file gone.yaml cannot be used: ENOENT: no such file, open 'gone.yaml'",
    ],
    [[[], { OPENAI_BASE_URL: 'models' }], 'OPENAI_BASE_URL must be a URL like http://127.0.0.1:11434/v1.'],
    [
      [[], { OPENAI_BASE_URL: 'file:///etc' }],
      'OPENAI_BASE_URL must be a URL like http://127.0.0.1:11434/v1.',
    ],
    [[[], { OPENAI_API_KEY: 'a b' }], 'OPENAI_API_KEY holds characters that no key has.'],
  ];

  test.each(REFUSED.map(([args, text]) => [text, args] as const))('%s', (text, args) => {
    expect(problemsOf(...args)).toEqual([text]);
  });

  test('names everything that is wrong at once', () => {
    expect(problemsOf(['--port', 'x', '--nope'], { UNDERSTUDY_WORKERS: '-' }, 'hots: a')).toHaveLength(4);
  });

  test('a JSON file that is none says where', () => {
    const [problem] = problemsOf([], {}, '{"port": 1,}', 'a.json');
    expect(problem).toStartWith('The configuration file a.json cannot be used: ');
  });
});

describe('listening beyond this machine', () => {
  test.each(['0.0.0.0', '::', '192.168.0.7', 'server.lan', '127.0.0.1.nip.io'])(
    '%s needs --allow-open',
    (host) => {
      const [problem] = problemsOf(['--host', host]);
      expect(problem).toContain('--allow-open');
      expect(parse(['--host', host, '--allow-open']).settings.host).toBe(host);
    },
  );

  test.each(['127.0.0.1', '127.8.8.8', 'localhost', '::1', '[::1]'])('%s does not', (host) => {
    expect(parse(['--host', host]).settings.host).toBe(host);
  });
});

describe('variables of others', () => {
  test('that Kubernetes makes of a service with our name are no settings', () => {
    const config = parse([], {
      UNDERSTUDY_PORT: 'tcp://10.0.0.1:8700',
      UNDERSTUDY_SERVICE_HOST: '10.0.0.1',
      UNDERSTUDY_PORT_8700_TCP_ADDR: '10.0.0.1',
    });
    expect(config.settings.port).toBe(SETTINGS.port.fallback);
    expect(config.warnings).toEqual([]);
  });

  test('that look like a slip are told of', () => {
    const { warnings } = parse([], { UNDERSTUDY_WORKER: '4' });
    expect(warnings).toEqual([
      'The variable UNDERSTUDY_WORKER means nothing. Did you mean UNDERSTUDY_WORKERS?',
    ]);
  });
});

describe('the provider', () => {
  const KEY = 'sk-do-not-print-me';

  test('its key is there for who asks, and in no text that is made of the configuration', () => {
    const config = parse([], { OPENAI_API_KEY: ` ${KEY}\n`, OPENAI_BASE_URL: 'http://127.0.0.1:1/v1/' });
    expect(config.openAiApiKey?.reveal()).toBe(KEY);
    expect(config.openAiBaseUrl).toBe('http://127.0.0.1:1/v1');
    const texts = [
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
      Bun.inspect(config),
      `${config.openAiApiKey}`,
    ];
    for (const text of texts) expect(text).not.toContain('do-not-print');
  });

  test('is not set where its variables are empty', () => {
    const config = parse([], { OPENAI_API_KEY: '', OPENAI_BASE_URL: '' });
    expect(config.openAiApiKey).toBeNull();
    expect(config.openAiBaseUrl).toBeNull();
  });

  test('a key that was written into the base URL is not repeated in the refusal', () => {
    const problems = problemsOf([], { OPENAI_BASE_URL: `https://user:${KEY}@models.example/v1` });
    expect(problems).toEqual(['OPENAI_BASE_URL must hold no user name, password, query or fragment.']);
  });
});

test('the configuration cannot be changed afterwards', () => {
  const config = parse([]);
  expect(() => Object.assign(config.settings, { port: 1 })).toThrow(TypeError);
  expect(() => Object.assign(config, { openAiBaseUrl: 'x' })).toThrow(TypeError);
  expect(() => (config.settings.allowHosts as string[]).push('x')).toThrow(TypeError);
});
