import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renewMetricsPage } from '../../scripts/docs/metrics.ts';
import { getSpec, SERIES_NAMES } from '../../src/metrics/series.ts';

const page = await readFile(join(import.meta.dir, '../../docs/metrics.md'), 'utf8');

test('the tables of the documentation are what is exposed: `npm run docs` writes them', () => {
  expect(page).toBe(renewMetricsPage(page));
});

test('every declared series stands there with its labels', () => {
  for (const name of SERIES_NAMES) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``));
    expect(row).toContain(getSpec(name).help);
    for (const label of Object.keys(getSpec(name).labels)) expect(row).toContain(`\`${label}\``);
  }
});

test('a page that lost the place of its tables is told of', () => {
  expect(() => renewMetricsPage('# Metrics')).toThrow('no place');
});
