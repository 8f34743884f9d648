/** The dashboard and the alerts: every query is about what a real server shows once it has done its work. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERIES_NAMES } from '../../src/metrics/series.ts';
import { startWorkplace, type Workplace } from './workload.ts';

const DEPLOY = join(import.meta.dir, '../../deploy');
/** Prometheus adds these to all that it scrapes. */
const TARGET_LABELS = ['job', 'instance'];

interface Query {
  readonly name: string;
  readonly text: string;
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const dashboard = JSON.parse(readFileSync(join(DEPLOY, 'grafana/understudy.json'), 'utf8'));
const alerts = Bun.YAML.parse(readFileSync(join(DEPLOY, 'prometheus/alerts.yaml'), 'utf8')) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
};
const panels: readonly Panel[] = dashboard.panels;
const rules = alerts.groups.flatMap((group) => group.rules);
const shown: readonly Query[] = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ name: title, text: expr })),
);
const watched: readonly Query[] = rules.map(({ alert, expr }) => ({ name: alert, text: expr }));

let workplace: Workplace;
/** The names of the labels of each name of samples. */
const seen = new Map<string, Set<string>>();

beforeAll(async () => {
  workplace = await startWorkplace();
  await workplace.work();
  await workplace.breakModel();
  const { text } = await workplace.server.call('GET', '/metrics');
  for (const line of text.split('\n').filter((one) => !one.startsWith('#'))) {
    const name = /^[a-z_]+/.exec(line)?.[0] ?? '';
    const labels = seen.get(name) ?? new Set(TARGET_LABELS);
    seen.set(name, labels);
    for (const [, label = ''] of line.matchAll(/([a-z_]+)="/g)) labels.add(label);
  }
}, 60_000);
afterAll(() => workplace.stop(), 60_000);

/** What is asked for, each with the labels that are matched; texts in quotation marks are taken out before. */
function readSelectors(query: string): { name: string; labels: string[] }[] {
  const plain = query.replace(/"[^"]*"/g, '""');
  return [...plain.matchAll(/\b((?:http|process|understudy)_[a-z_]+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', matchers = '']) => ({
      name,
      labels: [...matchers.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map((match) => match[1] ?? ''),
    }),
  );
}

/** The labels that results are grouped by. */
function readGroups(query: string): string[] {
  return [...query.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap((match) =>
    (match[1] ?? '').split(',').map((label) => label.trim()),
  );
}

describe.each([
  ['dashboard', shown],
  ['alerts', watched],
] as const)('the %s', (_, queries) => {
  test.each(queries.map(({ name, text }) => [name, text] as const))(
    'ask for what there is: %s',
    (_name, text) => {
      const selectors = readSelectors(text);
      expect(selectors.length).toBeGreaterThan(0);
      const all = new Set<string>();
      for (const { name, labels } of selectors) {
        expect([name, seen.has(name)]).toEqual([name, true]);
        const known = seen.get(name) ?? new Set();
        for (const label of labels) expect([name, label, known.has(label)]).toEqual([name, label, true]);
        for (const label of known) all.add(label);
      }
      for (const label of readGroups(text)) expect([label, all.has(label)]).toEqual([label, true]);
    },
  );
});

describe('the dashboard', () => {
  test('shows every series that is declared', () => {
    const asked = new Set(shown.flatMap(({ text }) => readSelectors(text).map(({ name }) => name)));
    const missing = SERIES_NAMES.filter(
      (name) => ![name, `${name}_bucket`, `${name}_count`, `${name}_sum`].some((one) => asked.has(one)),
    );
    expect(missing).toEqual([]);
  });

  test('names its lines by labels that the results have', () => {
    for (const { targets = [], title } of panels) {
      for (const { expr, legendFormat } of targets) {
        const kept = new Set([
          ...readGroups(expr),
          ...(readGroups(expr).length === 0 ? ['instance', 'worker'] : []),
        ]);
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          expect([title, label, kept.has(label)]).toEqual([title, label, true]);
        }
      }
    }
  });

  test('asks the chosen servers alone, in every panel', () => {
    for (const { name, text } of shown) {
      for (const selector of readSelectors(text)) {
        expect([name, selector.labels.slice(0, 2)]).toEqual([name, ['job', 'instance']]);
      }
    }
  });
});

describe('the alerts', () => {
  test('say in their words only what their results have', () => {
    for (const { alert, expr, annotations } of rules) {
      const groups = readGroups(expr);
      const kept = new Set([
        ...groups,
        ...(groups.length === 0
          ? readSelectors(expr).flatMap(({ name }) => [...(seen.get(name) ?? [])])
          : []),
      ]);
      for (const [, label = ''] of Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g)) {
        expect([alert, label, kept.has(label)]).toEqual([alert, label, true]);
      }
    }
  });
});
