/** The search of the pages, as it runs in the reader's browser: whatever has a name is found by it. */

import { describe, expect, test } from 'bun:test';
import { createSearch, type Hit, toWords } from '../../scripts/site/browser/search.js';
import { INDEX_PATH, makeSite } from '../../scripts/site/build.ts';
import { RATE_HEADERS } from '../../src/access/limits/rate-headers.ts';
import { SECRET_VARIABLES } from '../../src/config/secret-variables.ts';
import { SETTING_NAMES, SETTINGS, toVariable } from '../../src/config/settings.ts';
import { SERIES_NAMES } from '../../src/metrics/series.ts';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';

const index = makeSite().get(INDEX_PATH);
if (index === undefined || !('text' in index)) throw new Error('The site has no search index.');
const search = createSearch(JSON.parse(index.text));

/** Nobody looks further. */
const SHOWN = 5;
/** What the service astra-assistants-api took, and this server takes. */
const REQUEST_HEADERS = [
  'Authorization',
  'OpenAI-Beta',
  'api-key',
  'base-url',
  'api-version',
  'custom-llm-provider',
  'vertexai-project',
  'vertexai-location',
  'LLM-PARAM-temperature',
  'embedding-model',
  'EMBEDDING-PARAM-…',
  'astra-api-token',
  'astra-db-id',
  'traceparent',
];
const ANSWER_HEADERS = [
  'x-request-id',
  'openai-version',
  'openai-processing-ms',
  'openai-poll-after-ms',
  'x-understudy-version',
  'retry-after',
  ...RATE_HEADERS,
];

/** Whether what is shown has the name itself, not only its words. */
function shows(hits: readonly Hit[], name: string): boolean {
  return hits.some(({ headings, text }) =>
    `${headings.join(' ')} ${text}`.toLowerCase().includes(name.toLowerCase()),
  );
}

describe('is found by its name', () => {
  test('every operation, at the top, with its own place in the reference', () => {
    const ids = [...toServedOperations().keys()];
    expect(ids.length).toBeGreaterThan(40);
    for (const id of ids) {
      expect(search(id, SHOWN)[0]?.href).toBe(`/docs/reference#${id.toLowerCase()}`);
    }
  });

  test('every operation, by its path', () => {
    for (const [id, { method, path }] of toServedOperations()) {
      const places = search(`${method} /v1${path}`, SHOWN).map(({ href }) => href);
      expect(places, `${method} ${path}`).toContain(`/docs/reference#${id.toLowerCase()}`);
    }
  });

  test('every flag and every variable, at its row of the configuration', () => {
    for (const name of SETTING_NAMES) {
      const { flag } = SETTINGS[name];
      for (const question of [`--${flag}`, toVariable(flag)]) {
        const hits = search(question, SHOWN).filter(({ href }) =>
          href.startsWith('/docs/configuration#row-'),
        );
        expect({ question, isShown: shows(hits, toVariable(flag)) }).toEqual({ question, isShown: true });
      }
    }
    for (const { name } of SECRET_VARIABLES) {
      expect({ name, isShown: shows(search(name, SHOWN), name) }).toEqual({ name, isShown: true });
    }
  });

  test('every series of the metrics, at its row', () => {
    for (const name of SERIES_NAMES) {
      expect(search(name, SHOWN)[0]?.href, name).toStartWith('/docs/metrics#row-series-');
      expect(search(name, SHOWN)[0]?.headings.at(-1)).toBe(name);
    }
  });

  test('every header of requests and answers', () => {
    for (const name of [...REQUEST_HEADERS, ...ANSWER_HEADERS]) {
      expect({ name, isShown: shows(search(name, SHOWN), name) }).toEqual({ name, isShown: true });
    }
  });
});

describe('the search', () => {
  test('finds several words in any order, and words by their beginnings', () => {
    const places = (question: string) => search(question, SHOWN).map(({ href }) => href);
    expect(places('limits key project').length).toBeGreaterThan(0);
    expect(places('create thread run')).toContain('/docs/reference#createthreadandrun');
    expect(places('run thread create')).toContain('/docs/reference#createthreadandrun');
    expect(places('replicat cassand').some((href) => href.includes('cassandra-replication'))).toBe(true);
  });

  test('asks for all words, finds nothing for none, and takes whatever is typed', () => {
    expect(search('cassandra zzyzx', SHOWN)).toEqual([]);
    for (const nothing of ['', '   ', '--', '…', '[.*(']) expect(search(nothing, SHOWN)).toEqual([]);
    expect(search('__proto__ constructor', SHOWN)).toEqual([]);
  });

  test('is blind to accents and capitals', () => {
    expect(toWords('Où est ÉTÉ_2')).toEqual(['ou', 'est', 'ete', '2']);
    expect(search('CONFIGURATION', 1)).toEqual(search('configuration', 1));
  });

  test('shows no more than was asked for, the best first', () => {
    const hits = search('run', 7);
    expect(hits.length).toBe(7);
    expect(hits.map(({ score }) => score)).toEqual(
      hits.map(({ score }) => score).sort((one, other) => other - one),
    );
  });
});
