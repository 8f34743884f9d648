import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { generateKeyPairSync, verify } from 'node:crypto';
import type { Credentials } from '../../../src/providers/provider.ts';
import { checkSignature } from '../../support/protocols/aws-signature.ts';
import {
  AWS_KEYS,
  CHAT_PROTOCOLS,
  type ChatProtocolId,
  createProtocolProviders,
  type ProtocolProviders,
  toKey,
  toProtocolCall,
  toProtocolCredentials,
} from '../../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../../support/protocols/protocol-server.ts';
import { catchProviderError, collectEvents, toChatRequest } from '../../support/provider-calls.ts';
import { say } from '../../support/upstream-steps.ts';

/** Every variable that one of the packages, or what they are built on, is known to read. */
const DECOYS = [
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'ANTHROPIC_BASE_URL',
  'GOOGLE_GENERATIVE_AI_API_KEY',
  'GOOGLE_VERTEX_API_KEY',
  'GOOGLE_VERTEX_PROJECT',
  'GOOGLE_VERTEX_LOCATION',
  'GOOGLE_CLIENT_EMAIL',
  'GOOGLE_PRIVATE_KEY',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_BEARER_TOKEN_BEDROCK',
  'AWS_REGION',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_BEDROCK_RUNTIME',
  'COHERE_API_KEY',
  'MISTRAL_API_KEY',
  'VOYAGE_API_KEY',
] as const;
const DECOY = 'decoy-of-the-operator';

let server: ProtocolServer;
let providers: ProtocolProviders;
let before: Record<string, string | undefined>;

beforeAll(async () => {
  server = await startProtocolServer();
  providers = createProtocolProviders();
});
afterAll(() => server.close());

beforeEach(() => {
  before = {};
  for (const name of DECOYS) {
    before[name] = process.env[name];
    // Addresses of their own would be called: nothing listens there.
    process.env[name] = /URL/.test(name) ? `http://127.0.0.1:9/${DECOY}` : DECOY;
  }
});
afterEach(() => {
  for (const name of DECOYS) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});

async function ask(id: ChatProtocolId, model: string, changes: Partial<Credentials> = {}) {
  server.script(model, [say('Hi')]);
  const { error } = await collectEvents(
    providers[id].chat(toChatRequest(model), toProtocolCall(id, server.origin, changes)),
  );
  const [sent] = server.requestsFor(model);
  if (sent === undefined) throw error ?? new Error('Nothing was sent.');
  return { sent, error };
}

function toAll(sent: { headers: unknown; path: string; text: string }): string {
  return JSON.stringify([sent.headers, sent.path, sent.text]);
}

describe('with decoys of everything in the environment', () => {
  test.each(CHAT_PROTOCOLS)("%s gets its call's own credentials and nothing else", async (id) => {
    const { sent, error } = await ask(id, `own-${id}`);
    expect(error).toBeNull();
    expect(toAll(sent)).not.toContain(DECOY);
    if (id !== 'bedrock') expect(toAll(sent).split(toKey(id)).length - 1).toBe(1);
  });

  test.each(CHAT_PROTOCOLS.filter((id) => id !== 'bedrock' && id !== 'vertex'))(
    'a base URL of a request without a key gets no key at all: %s',
    async (id) => {
      const { sent } = await ask(id, `keyless-${id}`, { apiKey: null, fromRequest: true });
      expect(toAll(sent)).not.toContain(DECOY);
      for (const name of ['authorization', 'x-api-key', 'x-goog-api-key']) {
        expect(sent.headers[name]).toBeUndefined();
      }
    },
  );

  test.each(['bedrock', 'vertex'] as const)(
    '%s without credentials is refused here, and names what it needs',
    async (id) => {
      const model = server.script(`none-${id}`, [say('Hi')]);
      const call = toProtocolCall(id, server.origin, { apiKey: null, parameters: {} });
      const { error } = await collectEvents(providers[id].chat(toChatRequest(model), call));
      expect(error).toMatchObject({ kind: 'authentication', status: 401 });
      expect(String(error)).toMatch(/aws-access-key-id|vertex-credentials/);
      expect(server.requestsFor(model)).toEqual([]);
    },
  );

  test.each(['cohere', 'mistral', 'gemini', 'bedrock', 'voyage'] as const)(
    'embeddings of %s neither',
    async (id) => {
      const model = `embed-own-${id}`;
      const body = { model, input: 'text' };
      const response = await providers[id].relay('embeddings', body, toProtocolCall(id, server.origin));
      expect(response.status).toBe(200);
      const [sent] = server.requestsFor(model);
      expect(toAll(sent ?? { headers: null, path: '', text: '' })).not.toContain(DECOY);
    },
  );

  test.each(['anthropic', 'gemini', 'cohere', 'mistral'] as const)(
    'lists of models of %s neither',
    async (id) => {
      const from = server.requests.length;
      await providers[id].listModels(toProtocolCall(id, server.origin));
      expect(JSON.stringify(server.requests.slice(from))).not.toContain(DECOY);
      expect(JSON.stringify(server.requests.slice(from))).toContain(toKey(id));
    },
  );
});

describe('Bedrock', () => {
  const AMAZON_MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

  test('is signed as AWS checks it, for names with colons too', async () => {
    const { sent, error } = await ask('bedrock', AMAZON_MODEL);
    expect(error).toBeNull();
    expect(sent.path).toBe('/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream');
    expect(checkSignature(sent, AWS_KEYS.secret)).toMatchObject({
      accessKeyId: AWS_KEYS.id,
      scope: 'eu-central-1/bedrock/aws4_request',
      isValid: true,
    });
    expect(sent.headers['x-amz-security-token']).toBeUndefined();
  });

  test('is signed for ARNs, whose region counts, and with a token of a session', async () => {
    const arn = 'arn:aws:bedrock:eu-west-3:123456789012:inference-profile/eu.amazon.nova-lite-v1:0';
    const { parameters = {} } = toProtocolCredentials('bedrock', server.origin);
    const { sent } = await ask('bedrock', arn, {
      parameters: { ...parameters, 'aws-session-token': 'session/token+of=mine' },
    });
    const check = checkSignature(sent, AWS_KEYS.secret);
    expect(check).toMatchObject({ scope: 'eu-west-3/bedrock/aws4_request', isValid: true });
    expect(check?.signedHeaders).toContain('x-amz-security-token');
    expect(sent.headers['x-amz-security-token']).toBe('session/token+of=mine');
  });

  test("is never called with an API key where access keys are given, the operator's or whoever's", async () => {
    const { sent } = await ask('bedrock', 'both-keys', { apiKey: 'bedrock-api-key' });
    expect(checkSignature(sent, AWS_KEYS.secret)?.isValid).toBe(true);
    expect(toAll(sent)).not.toContain('bedrock-api-key');
  });

  test('takes an API key alone', async () => {
    const { sent } = await ask('bedrock', 'api-key-alone', { apiKey: 'bedrock-api-key', parameters: {} });
    expect(sent.headers.authorization).toBe('Bearer bedrock-api-key');
  });

  test('is not called at a host that a region makes up', async () => {
    const call = toProtocolCall('bedrock', '', {
      baseUrl: null,
      parameters: {
        'aws-access-key-id': 'a',
        'aws-secret-access-key': 'b',
        'aws-region-name': 'x.evil.example/',
      },
    });
    const { error } = await collectEvents(providers.bedrock.chat(toChatRequest('any'), call));
    expect(error).toMatchObject({ kind: 'invalid_request', param: 'aws-region-name' });
  });
});

describe('Vertex AI', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const CREDENTIALS = JSON.stringify({
    type: 'service_account',
    client_email: 'robot@project.iam.gserviceaccount.com',
    private_key_id: 'kid-1',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    // Whoever sends credentials could send this address too: it is not followed.
    token_uri: 'http://169.254.169.254/token',
  });
  const PROJECT = { 'vertex-project': 'my-project', 'vertex-location': 'europe-west1' };
  const forms: URLSearchParams[] = [];
  let google: ReturnType<typeof Bun.serve>;
  let vertex: ProtocolProviders['vertex'];

  beforeAll(() => {
    google = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        const form = new URLSearchParams(await request.text());
        forms.push(form);
        if (form.get('refresh_token') === 'stale') {
          return Response.json(
            { error: 'invalid_grant', error_description: 'Token has been expired.' },
            { status: 400 },
          );
        }
        return Response.json({
          access_token: `ya29.token-${forms.length}`,
          expires_in: 3599,
          token_type: 'Bearer',
        });
      },
    });
    vertex = createProtocolProviders({ googleTokenUrl: `http://127.0.0.1:${google.port}/token` }).vertex;
  });
  afterAll(() => google.stop(true));

  async function askVertex(model: string, credentials: string, changes: Partial<Credentials> = {}) {
    server.script(model, [say('Hi')]);
    const parameters = { ...PROJECT, 'vertex-credentials': credentials };
    const call = toProtocolCall('vertex', server.origin, { apiKey: null, parameters, ...changes });
    const { error } = await collectEvents(vertex.chat(toChatRequest(model), call));
    return { sent: server.requestsFor(model)[0], error };
  }

  test("is called with a token that a service account's key has signed for, and keeps it", async () => {
    const { sent, error } = await askVertex('gemini-2.5-flash', CREDENTIALS);
    expect(error).toBeNull();
    expect(sent?.path).toBe(
      '/v1beta1/projects/my-project/locations/europe-west1/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    );
    expect(sent?.headers.authorization).toBe('Bearer ya29.token-1');
    expect(sent?.headers['x-goog-api-key']).toBeUndefined();
    const assertion = forms[0]?.get('assertion') ?? '';
    const [head = '', claims = '', signature = ''] = assertion.split('.');
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      iss: 'robot@project.iam.gserviceaccount.com',
      scope: 'https://www.googleapis.com/auth/cloud-platform',
      aud: `http://127.0.0.1:${google.port}/token`,
    });
    const signed = Buffer.from(`${head}.${claims}`);
    expect(verify('RSA-SHA256', signed, publicKey, Buffer.from(signature, 'base64url'))).toBe(true);
    const again = await askVertex('gemini-2.5-pro', CREDENTIALS);
    expect(again.sent?.headers.authorization).toBe('Bearer ya29.token-1');
    expect(forms.length).toBe(1);
  });

  test("asks Claude in Anthropic's words at Google's address", async () => {
    const { sent, error } = await askVertex('claude-sonnet-4-5@20250929', CREDENTIALS);
    expect(error).toBeNull();
    expect(sent?.path).toBe(
      '/v1beta1/projects/my-project/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict',
    );
    expect(sent?.body.anthropic_version).toBe('vertex-2023-10-16');
    expect(sent?.body.model).toBeUndefined();
  });

  test('takes what gcloud leaves, and tells when it has run out without showing it', async () => {
    const user = {
      type: 'authorized_user',
      client_id: 'id',
      client_secret: 'my-client-secret',
      refresh_token: 'fresh',
    };
    const good = await askVertex('gemini-user', JSON.stringify(user));
    expect(good.error).toBeNull();
    expect(forms.at(-1)?.get('grant_type')).toBe('refresh_token');
    const stale = await askVertex('gemini-stale', JSON.stringify({ ...user, refresh_token: 'stale' }));
    expect(stale.error).toMatchObject({ kind: 'authentication' });
    expect(String(stale.error)).not.toContain('my-client-secret');
    expect(stale.sent).toBeUndefined();
  });

  test.each([
    ['no JSON', 'my-secret-text'],
    ['no key', '{"client_email":"x"}'],
    [
      'a broken key',
      '{"client_email":"x","private_key":"-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----"}',
    ],
  ])('refuses credentials that are %s, and shows nothing of them', async (_what, text) => {
    const { error } = await askVertex(`gemini-bad-${_what}`, text);
    expect(error).toMatchObject({ kind: 'authentication', status: 401, param: 'vertex-credentials' });
    expect(String(error)).not.toMatch(/my-secret-text|AAAA/);
  });

  test.each([
    ['vertex-project', { 'vertex-location': 'us-central1' }],
    ['vertex-location', { 'vertex-project': 'p', 'vertex-location': 'evil.example/' }],
    ['vertex-project', { 'vertex-project': '../other', 'vertex-location': 'us-central1' }],
  ])('refuses a bad %s', async (param, parameters) => {
    const call = toProtocolCall('vertex', server.origin, { apiKey: 'ya29.given', parameters });
    const { error } = await collectEvents(vertex.chat(toChatRequest('gemini-x'), call));
    expect(error).toMatchObject({ kind: 'invalid_request', param });
  });

  test('takes an access token as the key, and an express key without a project', async () => {
    const given = await askVertex('gemini-given', '', { apiKey: 'ya29.given', parameters: PROJECT });
    expect(given.sent?.headers.authorization).toBe('Bearer ya29.given');
    const express = await askVertex('gemini-express', '', { apiKey: 'AIza-express', parameters: {} });
    expect(express.sent?.headers['x-goog-api-key']).toBe('AIza-express');
    expect(express.sent?.path).toBe(
      '/v1/publishers/google/models/gemini-express:streamGenerateContent?alt=sse',
    );
  });
});

test('a key that no header can hold is refused without being shown', async () => {
  const call = toProtocolCall('anthropic', server.origin, { apiKey: 'my-secret\nkey' });
  const error = await catchProviderError(
    Array.fromAsync(providers.anthropic.chat(toChatRequest('any'), call)),
  );
  expect(error.kind).toBe('authentication');
  expect(error.message).not.toContain('my-secret');
});
