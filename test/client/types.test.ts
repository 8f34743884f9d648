/** The compiler does the work: what does not fit is an error of `tsc`. The tests keep it from being empty. */

import { describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import {
  type EmbeddedFile,
  type editMessage,
  type ListThreadsParams,
  type listThreads,
  type PatchOptions,
  patch,
  type ThreadPage,
} from 'understudy/client';

type Equal<One, Other> =
  (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;

class OwnClient extends OpenAI {
  readonly team = 'search';
}

const CHECKS: readonly [
  Equal<ReturnType<typeof patch<OpenAI>>, OpenAI>,
  Equal<ReturnType<typeof patch<OwnClient>>, OwnClient>,
  Equal<Awaited<ReturnType<typeof listThreads>>, ThreadPage>,
  Equal<ThreadPage['data'][number], OpenAI.Beta.Threads.Thread>,
  Equal<ListThreadsParams['order'], 'asc' | 'desc' | undefined>,
  Equal<Parameters<typeof patch>[1], PatchOptions | undefined>,
  Equal<ReturnType<typeof editMessage>, ReturnType<OpenAI['beta']['threads']['messages']['update']>>,
  Equal<EmbeddedFile['embedding_model'], string | null | undefined>,
] = [true, true, true, true, true, true, true, true];

const given = (): OwnClient => new OwnClient({ apiKey: 'understudy', maxRetries: 7, timeout: 1234 });

describe('the type of a patched client', () => {
  test('is the type that was given, with all of its members', () => {
    const client = given();
    const patched: OwnClient = patch(client, { env: {} });
    const plain: OpenAI = patched;
    expect(CHECKS).toHaveLength(8);
    expect(plain).toBeInstanceOf(OwnClient);
    expect(Object.keys(patched).sort()).toEqual(Object.keys(client).sort());
    expect(patched.team).toBe('search');
    expect({ retries: patched.maxRetries, timeout: patched.timeout }).toEqual({ retries: 7, timeout: 1234 });
  });

  test('comes with a new client: the given one is not changed', () => {
    const client = given();
    const before = { ...client };
    const patched = patch(client, { env: {}, baseURL: 'http://127.0.0.1:9/v1' });
    expect(patched).not.toBe(client);
    expect({ ...client }).toEqual(before);
    expect(client.baseURL).toBe('https://api.openai.com/v1');
    expect(patched.baseURL).toBe('http://127.0.0.1:9/v1');
  });
});
