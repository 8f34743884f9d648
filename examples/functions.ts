/**
 * An assistant that calls several functions of this program: in parallel, in more than one round, streamed, and also when one fails.
 *
 *   npm start                                                (in another terminal)
 *   node_modules/.bin/bun examples/functions.ts              asks the questions below
 *   node_modules/.bin/bun examples/functions.ts 'A question?'
 *
 * UNDERSTUDY_URL is the server (default http://127.0.0.1:8700), OPENAI_MODEL the model that answers (default: the rehearsal model,
 * which calls what a question mentions).
 */

import OpenAI from 'openai';

type Arguments = Record<string, unknown>;
interface Tool {
  readonly description: string;
  /** JSON schema of each argument. All are required. */
  readonly properties: Record<string, { type: 'string' | 'integer'; enum?: string[]; minimum?: number }>;
  run(args: Arguments): Promise<unknown>;
}

/** Assistants and functions may ask each other for ever. */
const ROUNDS_MAX = 10;

// The shop that the functions are about. Yours would ask a database here.
const shelf = new Map([
  ['lamps', { stock: 40, cents: 1950 }],
  ['chairs', { stock: 6, cents: 8900 }],
]);
const find = (product: unknown) => shelf.get(String(product)) ?? { stock: 0, cents: 0 };

const product = { type: 'string' as const, enum: [...shelf.keys()] };
const tools: Record<string, Tool> = {
  get_stock: {
    description: 'How many pieces of a product are there.',
    properties: { product },
    run: async (args) => ({ product: args.product, stock: find(args.product).stock }),
  },
  get_price: {
    description: 'What one piece of a product costs.',
    properties: { product },
    run: async (args) => ({ product: args.product, cents: find(args.product).cents }),
  },
  place_order: {
    description: 'Orders pieces of a product.',
    properties: { product, quantity: { type: 'integer', minimum: 1 } },
    async run({ product, quantity }) {
      const item = find(product);
      if (Number(quantity) > item.stock) throw new Error(`Only ${item.stock} ${product} are in stock.`);
      item.stock -= Number(quantity);
      return { ordered: quantity, product, cents: item.cents * Number(quantity) };
    },
  },
};

/** Models make mistakes: arguments are no more to be trusted than those of a stranger. Throws what is wrong. */
function readArguments(text: string, { properties }: Tool): Arguments {
  const args: unknown = JSON.parse(text);
  if (typeof args !== 'object' || args === null) throw new Error('The arguments must be an object.');
  for (const [name, schema] of Object.entries(properties)) {
    const value: unknown = Reflect.get(args, name);
    const isRight = schema.type === 'integer' ? Number.isInteger(value) : typeof value === 'string';
    if (!isRight)
      throw new Error(`'${name}' must be ${schema.type === 'integer' ? 'an integer' : 'a text'}.`);
    if (schema.enum?.includes(String(value)) === false)
      throw new Error(`'${name}' must be one of ${schema.enum.join(', ')}.`);
    if (Number(value) < (schema.minimum ?? -Infinity))
      throw new Error(`'${name}' must be ${schema.minimum} or more.`);
  }
  return { ...args };
}

/** The output of a call. What went wrong is one too: the model reads it, and tries again or tells the user. */
async function call({
  id,
  function: { name, arguments: text },
}: OpenAI.Beta.Threads.RequiredActionFunctionToolCall) {
  let output: unknown;
  try {
    const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
    if (tool === undefined) throw new Error(`There is no function '${name}'.`);
    output = await tool.run(readArguments(text, tool));
  } catch (error) {
    output = { error: error instanceof Error ? error.message : String(error) };
  }
  console.log(`  ${name} ${text} → ${JSON.stringify(output)}`);
  return { tool_call_id: id, output: JSON.stringify(output) };
}

const client = new OpenAI({
  baseURL: `${process.env.UNDERSTUDY_URL ?? 'http://127.0.0.1:8700'}/v1`,
  apiKey: 'understudy',
});
const { runs } = client.beta.threads;

/** Prints the answer while it is made. */
function print(stream: ReturnType<typeof runs.stream>): Promise<OpenAI.Beta.Threads.Run> {
  stream.on('textDelta', ({ value }) => process.stdout.write(value ?? ''));
  stream.on('textDone', () => process.stdout.write('\n'));
  return stream.finalRun();
}

async function ask(assistantId: string, question: string): Promise<void> {
  console.log(`\n> ${question}`);
  const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: question }] });
  let run = await print(runs.stream(thread.id, { assistant_id: assistantId }));
  for (let round = 1; run.status === 'requires_action' && round <= ROUNDS_MAX; round += 1) {
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    console.log(`(round ${round}: ${calls.length} ${calls.length === 1 ? 'call' : 'calls'})`);
    // All at once: the run goes on when the slowest is there.
    const outputs = await Promise.all(calls.map(call));
    run = await print(runs.submitToolOutputsStream(run.id, { thread_id: thread.id, tool_outputs: outputs }));
  }
  if (run.status === 'requires_action') await runs.cancel(run.id, { thread_id: thread.id });
  if (run.status !== 'completed')
    throw new Error(`The run is ${run.status}: ${run.last_error?.message ?? ''}`);
}

const assistant = await client.beta.assistants.create({
  model: process.env.OPENAI_MODEL ?? 'understudy/rehearsal',
  instructions: 'You serve a shop. Say honestly where an order fails.',
  tools: Object.entries(tools).map(([name, { description, properties }]) => ({
    type: 'function',
    function: {
      name,
      description,
      parameters: { type: 'object', properties, required: Object.keys(properties) },
    },
  })),
});
const given = process.argv.slice(2);
const questions = [
  'What is the stock of lamps, and the price of lamps? Then place an order for 3 lamps.',
  'Please place an order for 500 chairs.',
];
for (const question of given.length > 0 ? given : questions) await ask(assistant.id, question);
