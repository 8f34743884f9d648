/** The forms of the repository ask for what is needed to help, and warn of what must not be sent. */

import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dir, '../..');
const FOLDER = join(ROOT, '.github/ISSUE_TEMPLATE');
const CONFIG = 'config.yml';
const TYPES = ['markdown', 'input', 'textarea', 'dropdown', 'checkboxes'];

interface Field {
  readonly type: string;
  readonly id?: string;
  readonly attributes: {
    readonly label?: string;
    readonly value?: string;
    readonly options?: readonly string[];
  };
  readonly validations?: { readonly required?: boolean };
}

interface Form {
  readonly name: string;
  readonly description: string;
  readonly body: readonly Field[];
}

const forms = readdirSync(FOLDER)
  .filter((name) => name !== CONFIG)
  .map((name) => ({ name, form: Bun.YAML.parse(readFileSync(join(FOLDER, name), 'utf8')) as Form }));

test('there are three forms, and no way around them', () => {
  expect(forms.map(({ name }) => name).sort()).toEqual(['bug.yml', 'compatibility.yml', 'feature.yml']);
  expect(Bun.YAML.parse(readFileSync(join(FOLDER, CONFIG), 'utf8'))).toEqual({ blank_issues_enabled: false });
});

for (const { name, form } of forms) {
  describe(name, () => {
    test('is one that the forge accepts', () => {
      expect(form.name.length).toBeGreaterThan(3);
      expect(form.description.length).toBeGreaterThan(3);
      const ids = form.body.flatMap(({ id }) => id ?? []);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { type, id, attributes } of form.body) {
        expect(TYPES).toContain(type);
        if (type === 'markdown') expect(attributes.value).toBeString();
        else expect([id, attributes.label]).toEqual([expect.stringMatching(/^[\w-]+$/), expect.any(String)]);
        if (type === 'dropdown') expect(new Set(attributes.options).size).toBeGreaterThan(1);
      }
    });

    test('asks for the version, the store and the provider', () => {
      const required = form.body
        .filter(({ validations }) => validations?.required === true)
        .map(({ id }) => id);
      expect(required).toContain('version');
      const text = form.body.map(({ attributes }) => attributes.label).join(' ');
      expect(text).toMatch(/Store/);
      expect(text).toMatch(/[Pp]rovider/);
      if (name !== 'feature.yml') expect(required).toEqual(expect.arrayContaining(['store', 'provider']));
    });

    test('warns, first of all, of sending keys', () => {
      expect(form.body[0]?.type).toBe('markdown');
      expect(form.body[0]?.attributes.value).toContain('No keys, please');
    });
  });
}

test('the stores that can be chosen are those that there are', async () => {
  const { SETTINGS } = await import('../../src/config/settings.ts');
  const [store] = forms.flatMap(({ name, form }) =>
    name === 'bug.yml' ? form.body.filter(({ id }) => id === 'store') : [],
  );
  const served = SETTINGS.store.schema.anyOf.map((choice) => choice.const);
  expect(store?.attributes.options).toEqual(served);
});

test('the policy names no address that nobody reads', () => {
  const policy = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8');
  expect(policy).toContain("the repository's private vulnerability reporting");
  expect(policy).not.toMatch(/\S+@\S+\.\w+/);
});
