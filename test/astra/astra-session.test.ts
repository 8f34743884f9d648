/** Where a bundle leads nowhere, the answer comes in time and in our words. */

import { afterEach, expect, test } from 'bun:test';
import { createServer, type Server } from 'node:net';
import { errors, types } from 'cassandra-driver';
import { openAstraSession, toConnectError, toPrepareError } from '../../src/astra/astra-session.ts';
import { ApiError } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { StoreError } from '../../src/store/store.ts';
import { makeZip } from '../ingest/zip-maker.ts';
import { AUTHORITY, CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.ts';
import { catchError, toId } from './fixture.ts';

let server: Server | null = null;
afterEach(() => {
  server?.close();
  server = null;
});

function toBundle(port: number, host = '127.0.0.1'): Uint8Array {
  return makeZip([
    { name: 'config.json', content: JSON.stringify({ host, port }) },
    { name: 'ca.crt', content: AUTHORITY },
    { name: 'cert', content: CERTIFICATE },
    { name: 'key', content: CERTIFICATE_KEY },
  ]);
}

function open(bundle: Uint8Array, timeoutMs = 1_000): Promise<ApiError> {
  const token = new Secret('AstraCS:secret');
  return catchError(
    openAstraSession({ databaseId: toId(1), token, bundle, keyspace: 'understudy', timeoutMs }),
  );
}

function listen(onConnection: (socket: { destroy(): void }) => void): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const listening = createServer(onConnection);
  server = listening;
  listening.listen(0, '127.0.0.1', () => {
    const address = listening.address();
    resolve(typeof address === 'object' && address !== null ? address.port : 0);
  });
  return promise;
}

test('a host that takes no connection, one that hangs up and one that says nothing are 503, in time', async () => {
  const hangingUp = await listen((socket) => socket.destroy());
  for (const port of [9, hangingUp]) {
    expect(await open(toBundle(port), 5_000)).toMatchObject({ status: 503 });
  }
  server?.close();
  const silent = await listen(() => undefined);
  const began = performance.now();
  const error = await open(toBundle(silent));
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(error).toMatchObject({
    status: 503,
    message: 'The Astra database cannot be reached. Try again later.',
  });
});

test("another database's bundle is not even tried", async () => {
  let connections = 0;
  const port = await listen(() => {
    connections += 1;
  });
  const error = await open(toBundle(port, `${toId(2)}-us-east1.localhost`));
  expect(error).toMatchObject({ status: 502 });
  expect(error.message).toContain('another database');
  expect(connections).toBe(0);
});

test('a bundle without certificates is 503, not a crash', async () => {
  const port = await listen((socket) => socket.destroy());
  const bundle = makeZip(
    ['ca.crt', 'cert', 'key']
      .map((name) => ({ name, content: 'nonsense' }))
      .concat([{ name: 'config.json', content: JSON.stringify({ host: '127.0.0.1', port }) }]),
  );
  expect(await open(bundle, 5_000)).toMatchObject({ status: 503 });
});

function toRefusal(code: number, message: string): errors.NoHostAvailableError {
  return new errors.NoHostAvailableError({ host: new errors.ResponseError(code, message) }, 'none');
}

test('what the database says while a session is opened, in our words', () => {
  const { responseErrorCodes: codes } = types;
  const told = (error: unknown) => toConnectError(error, 'understudy');
  const login = new errors.NoHostAvailableError({ host: new errors.AuthenticationError('bad') }, 'none');
  expect(told(login)).toMatchObject({ code: 'invalid_api_key' });
  expect(told(toRefusal(codes.unauthorized, 'no'))).toMatchObject({ code: 'permission_denied' });
  const missing = told(toRefusal(codes.invalid, "Keyspace 'understudy' does not exist"));
  expect(missing).toMatchObject({ code: 'service_unavailable', retryAfterMs: 5_000 });
  expect(told(new Error('socket'))).toMatchObject({ code: 'service_unavailable' });
});

test('what is lacking while tables are made is told; what is a fault of ours is not made up as theirs', () => {
  const told = (error: unknown) => toPrepareError(error, 'understudy');
  const cause = new errors.ResponseError(types.responseErrorCodes.unauthorized, 'no');
  const forbidden = told(new StoreError('unavailable', 'The role may not make tables.', { cause }));
  expect(forbidden).toMatchObject({ code: 'permission_denied' });
  const lack = told(new StoreError('unavailable', 'The cluster has no vector search.'));
  expect(lack).toBeInstanceOf(ApiError);
  expect(lack).toMatchObject({ code: 'service_unavailable' });
  expect((lack as ApiError).message).toContain('no vector search');
  const fault = new TypeError('x is undefined');
  expect(told(fault)).toBe(fault);
});
