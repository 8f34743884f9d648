/**
 * A service for many tenants, each with an assistant of its own. README.md beside this file says how to run it.
 *
 *   POST /conversations                  begins one: {"id": "thread_…"}
 *   POST /conversations/ID/messages      {"text": "…"}; the answer comes as a stream of events: text, done, error
 *   GET  /conversations/ID/messages      what has been said
 *
 * Requests bring `Authorization: Bearer TOKEN`. UNDERSTUDY_URL is the server, OPENAI_MODEL the model of tenants that have none of their own,
 * TENANTS the folder of their files (default: tenants), PORT where this listens (default 8800).
 */

import OpenAI from 'openai';
import { createTenants, type Tenant } from './tenants.ts';

const TEXT_CHARACTERS_MAX = 20_000;
const BODY_BYTES_MAX = 256 * 1024;
/** Proxies close connections that are silent. */
const KEEP_ALIVE_MS = 15_000;

const findTenant = createTenants({
  folder: process.env.TENANTS ?? 'tenants',
  baseURL: `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`,
  model: process.env.OPENAI_MODEL ?? 'understudy/rehearsal',
});

function refuse(status: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: message }, { status, headers });
}

/** Tells the tenant what it can do about it, and the log the rest. */
function toRefusal(error: unknown): Response {
  if (error instanceof SyntaxError) return refuse(400, 'The body must be JSON.');
  if (error instanceof OpenAI.NotFoundError) return refuse(404, 'There is no such conversation.');
  if (error instanceof OpenAI.RateLimitError) {
    // The client has waited and tried again already: now the tenant has to wait.
    return refuse(429, 'Too much at once.', { 'retry-after': error.headers.get('retry-after') ?? '5' });
  }
  if (error instanceof OpenAI.BadRequestError) return refuse(409, error.message);
  console.error(error instanceof Error ? error.message : error);
  return refuse(502, 'The assistant cannot be reached.');
}

/** Says the text in the conversation; the answer is streamed while it is made, and stopped when nobody listens any more. */
async function converse({ client, assistantId }: Tenant, threadId: string, text: string, left: AbortSignal) {
  const { runs } = client.beta.threads;
  // One request for message and run: where it is refused (a 429), nothing of it is left in the conversation.
  const events = await runs.create(threadId, {
    assistant_id: assistantId,
    additional_messages: [{ role: 'user', content: text }],
    stream: true,
  });
  let runId: string | null = null;
  // A run goes on without listeners: whoever pays for it has to end it.
  const stop = (): void => {
    if (runId !== null) runs.cancel(runId, { thread_id: threadId }).catch(() => undefined);
  };
  left.addEventListener('abort', stop);

  const encoder = new TextEncoder();
  const toFrame = (event: string, data: object) =>
    encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (frame: Uint8Array): void => {
        if (!left.aborted) controller.enqueue(frame);
      };
      const keepAlive = setInterval(() => send(encoder.encode(': still here\n\n')), KEEP_ALIVE_MS);
      try {
        for await (const { event, data } of events) {
          if (event === 'thread.run.created') {
            runId = data.id;
            if (left.aborted) stop();
          } else if (event === 'thread.message.delta') {
            for (const part of data.delta.content ?? []) {
              if (part.type === 'text') send(toFrame('text', { text: part.text?.value ?? '' }));
            }
          } else if (event === 'thread.run.failed') {
            const isLimit = data.last_error?.code === 'rate_limit_exceeded';
            send(toFrame('error', { error: isLimit ? 'The model is busy.' : 'The model has failed.' }));
          } else if (event === 'thread.run.completed') send(toFrame('done', { usage: data.usage }));
        }
      } catch {
        send(toFrame('error', { error: 'The answer broke off.' }));
      } finally {
        clearInterval(keepAlive);
        left.removeEventListener('abort', stop);
        if (!left.aborted) controller.close();
      }
    },
  });
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
  });
}

async function listMessages({ client }: Tenant, threadId: string): Promise<Response> {
  const said: { role: string; text: string }[] = [];
  for await (const { role, content } of client.beta.threads.messages.list(threadId, {
    order: 'asc',
    limit: 100,
  })) {
    said.push({ role, text: content.map((part) => (part.type === 'text' ? part.text.value : '')).join('') });
  }
  return Response.json(said);
}

async function handle(request: Request): Promise<Response> {
  const [, token = ''] = /^Bearer (\S{1,200})$/.exec(request.headers.get('authorization') ?? '') ?? [];
  try {
    const tenant = await findTenant(token);
    if (tenant === null) return refuse(401, 'The token is wrong.');
    const { pathname } = new URL(request.url);
    const [, threadId] = /^\/conversations\/(\w{1,80})\/messages$/.exec(pathname) ?? [];
    if (request.method === 'POST' && pathname === '/conversations') {
      return Response.json({ id: (await tenant.client.beta.threads.create()).id }, { status: 201 });
    }
    if (threadId === undefined) return refuse(404, 'There is nothing here.');
    if (request.method === 'GET') return await listMessages(tenant, threadId);
    if (request.method !== 'POST') return refuse(405, 'GET or POST.');
    const body: unknown = await request.json();
    const text = typeof body === 'object' && body !== null && 'text' in body ? body.text : null;
    if (typeof text !== 'string' || text === '' || text.length > TEXT_CHARACTERS_MAX) {
      return refuse(400, "'text' is missing, or too long.");
    }
    return await converse(tenant, threadId, text, request.signal);
  } catch (error) {
    return toRefusal(error);
  }
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT ?? 8800),
  // Answers may be silent for as long as a model thinks.
  idleTimeout: 0,
  maxRequestBodySize: BODY_BYTES_MAX,
  fetch: handle,
});
console.log(`The service listens on ${server.url}`);
process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)));
