import { expect, test } from 'bun:test';
import { createLocalAccess } from '../../src/metrics/local-access.ts';

const request = new Request('http://server.example/metrics', { headers: { 'x-forwarded-for': '127.0.0.1' } });

test.each([['127.0.0.1'], ['127.8.0.9'], ['::1'], ['::ffff:127.0.0.1']])('%s is this machine', (address) => {
  expect(() => createLocalAccess(() => address)(request)).not.toThrow();
});

test.each([['10.0.0.5'], ['203.0.113.9'], ['fe80::1'], ['::ffff:10.0.0.5'], ['']])(
  '%p is not, whatever its headers say',
  (address) => {
    expect(() => createLocalAccess(() => address)(request)).toThrow('only for its own machine');
  },
);

test('a connection that is gone is not', () => {
  expect(() => createLocalAccess(() => null)(request)).toThrow('only for its own machine');
});
