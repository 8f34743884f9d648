import { describe, expect, test } from 'bun:test';
import { createHeaderSealer } from '../../src/retrieval/header-sealer.ts';
import { createSealer } from '../../src/sealing.ts';

const SECRET = 'a secret of enough length';

describe('createSealer', () => {
  test('opens what it sealed, each time sealed differently, and shows nothing of it', () => {
    const sealer = createSealer(SECRET);
    const sealed = sealer.seal('sk-very-secret', 'test');
    expect(sealed).not.toContain('secret');
    expect(Buffer.from(sealed.slice(3), 'base64url').includes('sk-very')).toBe(false);
    expect(sealer.seal('sk-very-secret', 'test')).not.toBe(sealed);
    expect(createSealer(SECRET).unseal(sealed, 'test')).toBe('sk-very-secret');
  });

  test('opens nothing under another secret, for another purpose, or that was changed', () => {
    const sealer = createSealer(SECRET);
    const sealed = sealer.seal('sk-very-secret', 'test');
    expect(createSealer(`${SECRET}!`).unseal(sealed, 'test')).toBeNull();
    expect(sealer.unseal(sealed, 'other')).toBeNull();
    for (const at of [4, 20, sealed.length - 2]) {
      const other = sealed[at] === 'A' ? 'B' : 'A';
      expect(sealer.unseal(sealed.slice(0, at) + other + sealed.slice(at + 1), 'test')).toBeNull();
    }
    expect(sealer.unseal('v1.', 'test')).toBeNull();
    expect(sealer.unseal('', 'test')).toBeNull();
  });
});

describe('createHeaderSealer', () => {
  test('keeps what a provider is chosen and authorised by, and nothing else', () => {
    const sealer = createHeaderSealer(createSealer(SECRET));
    const sealed = sealer.seal({
      authorization: 'Bearer sk-1',
      'base-url': 'https://api.openai.com/v1',
      'embedding-model': 'm',
      'embedding-param-api-key': 'sk-2',
      cookie: 'session',
      'user-agent': 'test',
    });
    expect(sealer.unseal(sealed ?? '')).toEqual({
      authorization: 'Bearer sk-1',
      'base-url': 'https://api.openai.com/v1',
      'embedding-model': 'm',
      'embedding-param-api-key': 'sk-2',
    });
  });

  test('keeps nothing without a secret', () => {
    expect(createHeaderSealer(null).seal({ authorization: 'Bearer sk-1' })).toBeNull();
    expect(createHeaderSealer(null).unseal('v1.abc')).toBeNull();
  });
});
