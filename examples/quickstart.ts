/**
 * A program written for OpenAI's Assistants API. The only thing that is not OpenAI's is the base URL.
 *
 *   npm start                                              (in another terminal)
 *   node_modules/.bin/bun examples/quickstart.ts           streams an answer, calls a function
 *   node_modules/.bin/bun examples/quickstart.ts thread_…  prints that conversation, after a restart of the server too
 *
 * UNDERSTUDY_URL is the server (default http://127.0.0.1:8700). The built-in rehearsal model answers, which needs no key; with
 * OPENAI_MODEL the model of that name; with OPENAI_BASE_URL, set for the server as well, the first model of that address.
 */

import OpenAI from 'openai';

const baseURL = `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`;
const client = new OpenAI({ baseURL, apiKey: 'understudy' });
const { threads } = client.beta;

const REHEARSAL = 'understudy/rehearsal';

async function chooseModel(): Promise<string> {
  if (process.env.OPENAI_MODEL) return process.env.OPENAI_MODEL;
  if (!process.env.OPENAI_BASE_URL) return REHEARSAL;
  const { data } = await client.models.list();
  return data.find(({ id }) => id !== REHEARSAL)?.id ?? REHEARSAL;
}

function getWeather(city: string): string {
  return JSON.stringify({ city, celsius: 21, sky: 'clear' });
}

/** Prints the answer while it is made. */
async function print(stream: ReturnType<typeof threads.runs.stream>): Promise<OpenAI.Beta.Threads.Run> {
  stream.on('textCreated', () => process.stdout.write('\nassistant: '));
  stream.on('textDelta', ({ value }) => process.stdout.write(value ?? ''));
  stream.on('textDone', () => process.stdout.write('\n'));
  const run = await stream.finalRun();
  if (run.status === 'failed') throw new Error(run.last_error?.message);
  return run;
}

/** Answers the thread's id. */
async function converse(): Promise<string> {
  const model = await chooseModel();
  console.log(`The model is ${model}.`);
  const assistant = await client.beta.assistants.create({
    model,
    instructions: 'You are a friendly guide. Use get_weather for questions about the weather.',
    tools: [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather in a city, now.',
          parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
        },
      },
    ],
  });
  const thread = await threads.create({ messages: [{ role: 'user', content: 'Hello! Who are you?' }] });
  await print(threads.runs.stream(thread.id, { assistant_id: assistant.id }));

  await threads.messages.create(thread.id, { role: 'user', content: 'What is the weather in Paris?' });
  let run = await print(threads.runs.stream(thread.id, { assistant_id: assistant.id }));
  while (run.status === 'requires_action' && run.required_action !== null) {
    const outputs = run.required_action.submit_tool_outputs.tool_calls.map((call) => {
      console.log(`\n(the assistant calls ${call.function.name} ${call.function.arguments})`);
      return { tool_call_id: call.id, output: getWeather(JSON.parse(call.function.arguments).city) };
    });
    const answers = { thread_id: thread.id, tool_outputs: outputs };
    run = await print(threads.runs.submitToolOutputsStream(run.id, answers));
  }
  console.log(`\n(the run is ${run.status}, ${run.usage?.total_tokens ?? 0} tokens)`);
  return thread.id;
}

async function printConversation(threadId: string): Promise<void> {
  console.log(`\nThe conversation ${threadId}:`);
  for await (const message of threads.messages.list(threadId, { order: 'asc' })) {
    const text = message.content.map((part) => (part.type === 'text' ? part.text.value : '')).join('');
    console.log(`  ${message.role}: ${text}`);
  }
}

const given = process.argv[2];
const threadId = given ?? (await converse());
await printConversation(threadId);
if (given === undefined) {
  console.log(`\nIt is kept: restart the server, and run this again with ${threadId}.`);
}
