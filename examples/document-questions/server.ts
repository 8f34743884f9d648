/**
 * A web page that answers questions about a folder of documents, word by word, with the passages that it rests on.
 *
 *   npm start                                                          (in another terminal)
 *   node_modules/.bin/bun examples/document-questions/server.ts        asks about examples/documents
 *   node_modules/.bin/bun examples/document-questions/server.ts FOLDER
 *
 * UNDERSTUDY_URL is the server (default http://127.0.0.1:8700), PORT the page's (default 8701). Without any model configured the
 * built-in rehearsal model answers with what it finds; with OPENAI_MODEL the model of that name. Where the server wants a key it
 * is OPENAI_API_KEY: it stays in this program, the page never sees it.
 */

import { join, resolve } from 'node:path';
import OpenAI from 'openai';
import { type Answering, answer, type PageEvent, readConversation } from './answers.ts';
import { prepareDocuments, readFolder } from './documents.ts';

const PAGE = join(import.meta.dirname, 'page');
const EXAMPLES = join(import.meta.dirname, '../documents');
/** Shown where nothing has been asked yet, for the documents that come with the example. */
const SAMPLE_QUESTIONS = [
  'What does fault code HX-218 mean?',
  'Who orders the life jackets before the end of March?',
  'What does a return ticket cost for a group of up to 12?',
];
const QUESTION_CHARACTERS_MAX = 4_000;
const BODY_BYTES_MAX = 64 * 1024;
/** The program listens on this machine only, and a site that merely points its own name here is not let in. */
const HOSTNAMES = ['127.0.0.1', 'localhost'];
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

const client = new OpenAI({
  baseURL: `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`,
  apiKey: process.env.OPENAI_API_KEY ?? 'understudy',
});
const folder = resolve(process.argv[2] ?? EXAMPLES);
const model = process.env.OPENAI_MODEL ?? 'understudy/rehearsal';
const files = await readFolder(folder);
const assistantId = await prepareDocuments(client, { folder, files, model });
const about = {
  documents: files.map(({ name }) => name),
  questions: folder === resolve(EXAMPLES) ? SAMPLE_QUESTIONS : [],
};

/** What the page may send. Ids are long and random: who knows a conversation's may read it, as with any link. */
interface Asked {
  readonly thread?: string;
  readonly run?: string;
  readonly question?: string;
}

class BadRequest extends Error {}

async function readAsked(request: Request): Promise<Asked> {
  const given: unknown = await request.json().catch(() => null);
  if (typeof given !== 'object' || given === null) throw new BadRequest('The body must be a JSON object.');
  const { thread, run, question } = given as Record<string, unknown>;
  return {
    ...(thread === undefined ? {} : { thread: toId(thread) }),
    ...(run === undefined ? {} : { run: toId(run) }),
    ...(question === undefined ? {} : { question: toQuestion(question) }),
  };
}

function toId(value: unknown): string {
  if (typeof value !== 'string' || !/^[\w-]{1,64}$/.test(value)) throw new BadRequest('This is not an id.');
  return value;
}

function toQuestion(value: unknown): string {
  const question = typeof value === 'string' ? value.trim() : '';
  if (question === '') throw new BadRequest('Type a question first.');
  if (question.length > QUESTION_CHARACTERS_MAX)
    throw new BadRequest(`A question may have ${QUESTION_CHARACTERS_MAX} characters.`);
  return question;
}

/** Server-sent events. Who closes the page leaves the answer to be finished, and finds it after the next visit. */
function toEventStream(asked: Answering): Response {
  const leaving = new AbortController();
  const events = answer(client, asked, leaving.signal);
  const encoder = new TextEncoder();
  const send = (event: PageEvent) => encoder.encode(`data: ${JSON.stringify(event)}\n\n`);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await events.next();
      if (done) controller.close();
      else controller.enqueue(send(value));
    },
    async cancel() {
      leaving.abort();
      await events.return();
    },
  });
  return new Response(body, { headers: { ...HEADERS, 'content-type': 'text/event-stream' } });
}

async function handle(request: Request, url: URL): Promise<Response> {
  if (!HOSTNAMES.includes(url.hostname)) return new Response('This name is not mine.', { status: 403 });
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /':
      return new Response(Bun.file(join(PAGE, 'index.html')), { headers: HEADERS });
    case 'GET /page.js':
    case 'GET /answer.js':
    case 'GET /events.js':
    case 'GET /source.js':
    case 'GET /text.js':
    case 'GET /style.css':
      return new Response(Bun.file(join(PAGE, url.pathname)), { headers: HEADERS });
    case 'GET /about':
      return Response.json(about, { headers: HEADERS });
    case 'GET /conversation': {
      const conversation = await readConversation(client, toId(url.searchParams.get('thread')));
      return Response.json(conversation, { headers: HEADERS });
    }
    case 'POST /ask': {
      const { question = toQuestion(''), thread } = await readOwn(request, url);
      return toEventStream({ assistantId, model, question, threadId: thread ?? null });
    }
    case 'POST /stop': {
      const { thread, run } = await readOwn(request, url);
      if (run === undefined || thread === undefined) throw new BadRequest('Which run?');
      await client.beta.threads.runs.cancel(run, { thread_id: thread });
      return new Response(null, { status: 204, headers: HEADERS });
    }
    default:
      return new Response('There is nothing here.', { status: 404, headers: HEADERS });
  }
}

/** The body of a request that our own page has made: other sites may not ask in its name. */
async function readOwn(request: Request, url: URL): Promise<Asked> {
  const origin = request.headers.get('origin');
  const isJson = request.headers.get('content-type')?.startsWith('application/json') ?? false;
  if (!isJson || (origin !== null && origin !== url.origin))
    throw new BadRequest('Only the page itself may ask.');
  return readAsked(request);
}

function toErrorResponse(error: unknown): Response {
  const isAsked = error instanceof BadRequest;
  const status = isAsked ? 400 : error instanceof OpenAI.APIError ? (error.status ?? 502) : 500;
  if (!isAsked) console.error(error);
  const message = error instanceof Error ? error.message : 'Something went wrong.';
  return Response.json({ message }, { status, headers: HEADERS });
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT ?? 8701),
  maxRequestBodySize: BODY_BYTES_MAX,
  async fetch(request, self) {
    const url = new URL(request.url);
    // A model may think for longer than the ten seconds after which Bun takes a silent connection for dead.
    if (url.pathname === '/ask') self.timeout(request, 0);
    return handle(request, url).catch(toErrorResponse);
  },
});
console.log(`Ask your questions at http://127.0.0.1:${server.port}`);
