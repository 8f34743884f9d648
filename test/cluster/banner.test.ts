import { describe, expect, test } from 'bun:test';
import { type Started, toBanner, toModelText, toSearchText } from '../../src/cluster/banner.ts';

const STARTED: Started = {
  version: '1.2.3',
  url: 'http://127.0.0.1:8700/',
  workers: 1,
  store: 'sqlite, /data/understudy',
  hasApiKey: false,
  baseUrl: null,
  providers: [],
  embeddingModel: '',
  findings: { localServer: null },
};

const OLLAMA = {
  kind: 'ollama',
  baseUrl: 'http://127.0.0.1:11434/v1',
  modelCount: 3,
  models: ['llama3.2:3b', 'qwen3:8b'],
};

describe('the start page', () => {
  test('gives the address to set, where the data is, and a command that works as it stands', () => {
    const page = toBanner(STARTED);
    expect(page).toContain("new OpenAI({ baseURL: 'http://127.0.0.1:8700/v1'");
    expect(page).toContain('sqlite, /data/understudy');
    expect(page).toContain(
      `curl http://127.0.0.1:8700/v1/assistants -H 'content-type: application/json' -d '{"model":"understudy/rehearsal"}'`,
    );
  });

  test('names an address that a client can call where the server listens on all', () => {
    expect(toBanner({ ...STARTED, url: 'http://0.0.0.0:8700/' })).toContain('http://localhost:8700/v1');
    expect(toBanner({ ...STARTED, url: 'http://[::]:8700/' })).toContain('http://localhost:8700/v1');
  });
});

test('the start page says how clients come in where they need keys, and that there is HTTPS', () => {
  const page = toBanner({ ...STARTED, url: 'https://0.0.0.0:8700/', hasKeys: true });
  expect(page).toContain('understudy keys create --project NAME');
  expect(page).toContain("baseURL: 'https://localhost:8700/v1', apiKey: 'sk-understudy-…'");
  expect(page).toContain("-H 'authorization: Bearer sk-understudy-…'");
  expect(toBanner(STARTED)).not.toContain('keys create');
});

test('the start page names the other providers that there are keys for', () => {
  expect(toBanner(STARTED)).not.toContain('Providers');
  expect(toBanner({ ...STARTED, providers: ['Anthropic', 'Groq'] })).toContain(
    'Providers  Anthropic, Groq\n',
  );
});

describe('where answers come from', () => {
  test('says what to set where nothing is configured or found', () => {
    const text = toModelText(STARTED);
    expect(text).toContain('OPENAI_API_KEY');
    expect(text).toContain('OPENAI_BASE_URL');
  });

  test('names a local server that was found, with its models', () => {
    const text = toModelText({ ...STARTED, findings: { localServer: OLLAMA } });
    expect(text).toBe(
      'Ollama at http://127.0.0.1:11434/v1, found at start: llama3.2:3b, qwen3:8b and 1 more',
    );
  });

  test('is what the operator configured before what was found', () => {
    const found = { ...STARTED, findings: { localServer: OLLAMA } };
    expect(toModelText({ ...found, hasApiKey: true })).toBe('OpenAI, with OPENAI_API_KEY');
    expect(toModelText({ ...found, baseUrl: 'http://models.example/v1', hasApiKey: true })).toBe(
      'http://models.example/v1 with OPENAI_API_KEY',
    );
  });
});

test('the banner says by what files are searched, or what to set', () => {
  expect(toBanner(STARTED)).toContain('--embedding-model');
  expect(toSearchText({ ...STARTED, embeddingModel: 'bge-m3' })).toContain('bge-m3');
  expect(toSearchText({ ...STARTED, hasApiKey: true })).toContain('text-embedding-3-large');
  expect(toSearchText({ ...STARTED, hasApiKey: true, baseUrl: 'http://models.example/v1' })).toContain(
    'by words',
  );
});
