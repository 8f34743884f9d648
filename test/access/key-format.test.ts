import { describe, expect, test } from 'bun:test';
import { createKey, hashSecret, maskKey, parseKey } from '../../src/access/key-format.ts';
import { createIds } from '../../src/ids.ts';

const ids = createIds({ nowMs: () => 1_764_000_000_000 });

describe('a key', () => {
  test('is one line that names its record, and holds 256 random bits of which the record has the hash', () => {
    const id = ids.create('api_key');
    const { key, secretHash } = createKey(id);
    expect(key).toMatch(/^sk-understudy-[A-Za-z0-9_-]{60,}$/);
    const parts = parseKey(key);
    expect(parts?.id).toBe(id);
    expect(Buffer.from(parts?.secret ?? '', 'base64url')).toHaveLength(32);
    expect(hashSecret(parts?.secret ?? '')).toBe(secretHash);
    expect(secretHash).not.toContain(parts?.secret ?? '');
    expect(createKey(id).key).not.toBe(key);
  });

  test('with any one character changed, left out or added is none, so that the store is not asked about slips', () => {
    const { key } = createKey(ids.create('api_key'));
    for (let at = 0; at < key.length; at += 1) {
      const other = key[at] === 'a' ? 'b' : 'a';
      expect(parseKey(key.slice(0, at) + other + key.slice(at + 1))).toBeNull();
      expect(parseKey(key.slice(0, at) + key.slice(at + 1))).toBeNull();
      expect(parseKey(`${key.slice(0, at)}a${key.slice(at)}`)).toBeNull();
    }
  });

  test.each(['', 'understudy', 'sk-proj-abc', 'sk-understudy-', 'x'.repeat(100_000), 'sk-understudy-\n'])(
    'is not %p',
    (text) => {
      expect(parseKey(text)).toBeNull();
    },
  );
});

describe('what an error shows of a key', () => {
  test('is its first eight and last four characters', () => {
    const { key } = createKey(ids.create('api_key'));
    expect(maskKey(key)).toBe(`sk-under********${key.slice(-4)}`);
  });

  test('is nothing of a short one, and nothing that breaks a line', () => {
    expect(maskKey('hunter2')).toBe('********');
    expect(maskKey(`ab\r\ncdefg${'x'.repeat(40)}\u{1f600}`)).toBe('ab??cdef********xx??');
  });
});
