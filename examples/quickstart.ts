/**
 * A program written for OpenAI's Assistants API. The only thing that is not OpenAI's is the base URL.
 *
 *   npm start                                              (in another terminal)
 *   node_modules/.bin/bun examples/quickstart.ts           streams an answer, calls a function
 *   node_modules/.bin/bun examples/quickstart.ts thread_…  prints that conversation, after a restart of the server too
 *
 * UNDERSTUDY_URL is the server (default http://127.0.0.1:8700). OPENAI_MODEL names the model; without it, a server that was
 * started with OPENAI_BASE_URL is asked for its first model, and the built-in rehearsal model answers where there is none.
 */

import OpenAI from 'openai';

const baseURL = `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`;
const client = new OpenAI({ baseURL, apiKey: 'understudy' });

const REHEARSAL = 'understudy/rehearsal';

async function chooseModel(): Promise<string> {
  if (process.env.OPENAI_MODEL) return process.env.OPENAI_MODEL;
  if (!process.env.OPENAI_BASE_URL) return REHEARSAL;
  const models = await client.models.list();
  return models.data.find((model) => model.id !== REHEARSAL)?.id ?? REHEARSAL;
}

function getWeather(city: string): string {
  return JSON.stringify({ city, celsius: 21, sky: 'clear' });
}

async function printConversation(threadId: string): Promise<void> {
  console.log(`\nThe conversation ${threadId}:`);
  for await (const message of client.beta.threads.messages.list(threadId, { order: 'asc' })) {
    const text = message.content.map((part) => (part.type === 'text' ? part.text.value : '')).join('');
    console.log(`  ${message.role}: ${text}`);
  }
}

async function converse(): Promise<string> {
  const assistant = await client.beta.assistants.create({
    model: await chooseModel(),
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
  const thread = await client.beta.threads.create({
    messages: [{ role: 'user', content: 'Hello! Who are you?' }],
  });

  process.stdout.write('\nassistant: ');
  await client.beta.threads.runs
    .stream(thread.id, { assistant_id: assistant.id })
    .on('textDelta', (delta) => process.stdout.write(delta.value ?? ''))
    .finalRun();

  await client.beta.threads.messages.create(thread.id, {
    role: 'user',
    content: 'What is the weather in Paris?',
  });
  let run = await client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id }).finalRun();
  while (run.status === 'requires_action' && run.required_action !== null) {
    const outputs = run.required_action.submit_tool_outputs.tool_calls.map((call) => {
      console.log(`\n\n(the assistant calls ${call.function.name} ${call.function.arguments})`);
      return { tool_call_id: call.id, output: getWeather(JSON.parse(call.function.arguments).city) };
    });
    process.stdout.write('\nassistant: ');
    run = await client.beta.threads.runs
      .submitToolOutputsStream(run.id, { thread_id: thread.id, tool_outputs: outputs })
      .on('textDelta', (delta) => process.stdout.write(delta.value ?? ''))
      .finalRun();
  }
  console.log(`\n\n(the run is ${run.status}, ${run.usage?.total_tokens ?? 0} tokens)`);
  return thread.id;
}

const given = process.argv[2];
const threadId = given ?? (await converse());
await printConversation(threadId);
if (given === undefined) {
  console.log(`\nIt is kept: restart the server, and run this again with ${threadId}.`);
}
