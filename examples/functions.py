"""An assistant that calls several functions of this program: in parallel, in more than one round, streamed, and also when one fails.

    pip install openai
    npm start                                       (in another terminal)
    python examples/functions.py                    asks the questions below
    python examples/functions.py 'A question?'

UNDERSTUDY_URL is the server (default http://127.0.0.1:8700), OPENAI_MODEL the model that answers (default: the rehearsal model,
which calls what a question mentions).
"""

import inspect
import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

from openai import AssistantEventHandler, OpenAI

# The client warns at each call that OpenAI gives up this API: here it lives on.
warnings.filterwarnings("ignore", category=DeprecationWarning)

# Assistants and functions may ask each other for ever.
ROUNDS_MAX = 10

# The shop that the functions are about. Yours would ask a database here.
shelf = {"lamps": {"stock": 40, "cents": 1950}, "chairs": {"stock": 6, "cents": 8900}}


def get_stock(product: str):
    """How many pieces of a product are there."""
    return {"product": product, "stock": shelf[product]["stock"]}


def get_price(product: str):
    """What one piece of a product costs."""
    return {"product": product, "cents": shelf[product]["cents"]}


def place_order(product: str, quantity: int):
    """Orders pieces of a product."""
    item = shelf[product]
    if quantity > item["stock"]:
        raise ValueError(f"Only {item['stock']} {product} are in stock.")
    item["stock"] -= quantity
    return {"ordered": quantity, "product": product, "cents": item["cents"] * quantity}


functions = {function.__name__: function for function in (get_stock, get_price, place_order)}
schemas = {"product": {"type": "string", "enum": list(shelf)}, "quantity": {"type": "integer", "minimum": 1}}


def to_tool(function):
    names = list(inspect.signature(function).parameters)
    parameters = {"type": "object", "properties": {name: schemas[name] for name in names}, "required": names}
    described = {"name": function.__name__, "description": function.__doc__, "parameters": parameters}
    return {"type": "function", "function": described}


def read_arguments(text, function):
    """Models make mistakes: arguments are no more to be trusted than those of a stranger. Raises what is wrong."""
    arguments = json.loads(text)
    if not isinstance(arguments, dict):
        raise ValueError("The arguments must be an object.")
    read = {}
    for name in inspect.signature(function).parameters:
        value, schema = arguments.get(name), schemas[name]
        if type(value) is not (int if schema["type"] == "integer" else str):
            raise ValueError(f"'{name}' must be {'an integer' if schema['type'] == 'integer' else 'a text'}.")
        if value not in schema.get("enum", [value]):
            raise ValueError(f"'{name}' must be one of {', '.join(schema['enum'])}.")
        if "minimum" in schema and value < schema["minimum"]:
            raise ValueError(f"'{name}' must be {schema['minimum']} or more.")
        read[name] = value
    return read


def call(tool_call):
    """The output of a call. What went wrong is one too: the model reads it, and tries again or tells the user."""
    name, text = tool_call.function.name, tool_call.function.arguments
    try:
        if name not in functions:
            raise ValueError(f"There is no function '{name}'.")
        output = functions[name](**read_arguments(text, functions[name]))
    except Exception as error:
        output = {"error": str(error)}
    print(f"  {name} {text} → {json.dumps(output)}")
    return {"tool_call_id": tool_call.id, "output": json.dumps(output)}


class Printer(AssistantEventHandler):
    """Prints the answer while it is made."""

    def on_text_delta(self, delta, snapshot):
        print(delta.value or "", end="", flush=True)

    def on_text_done(self, text):
        print()


client = OpenAI(
    base_url=os.environ.get("UNDERSTUDY_URL", "http://127.0.0.1:8700") + "/v1",
    api_key="understudy",
)
runs = client.beta.threads.runs


def finish(manager):
    with manager as stream:
        stream.until_done()
        return stream.current_run


def ask(assistant_id, question):
    print(f"\n> {question}")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": question}])
    run = finish(runs.stream(thread_id=thread.id, assistant_id=assistant_id, event_handler=Printer()))
    for number in range(1, ROUNDS_MAX + 1):
        if run.status != "requires_action":
            break
        calls = run.required_action.submit_tool_outputs.tool_calls
        print(f"(round {number}: {len(calls)} {'call' if len(calls) == 1 else 'calls'})")
        # All at once: the run goes on when the slowest is there.
        with ThreadPoolExecutor(max_workers=len(calls)) as pool:
            outputs = list(pool.map(call, calls))
        run = finish(
            runs.submit_tool_outputs_stream(
                run_id=run.id, thread_id=thread.id, tool_outputs=outputs, event_handler=Printer()
            )
        )
    if run.status == "requires_action":
        runs.cancel(run.id, thread_id=thread.id)
    if run.status != "completed":
        sys.exit(f"The run is {run.status}: {run.last_error.message if run.last_error else ''}")


assistant = client.beta.assistants.create(
    model=os.environ.get("OPENAI_MODEL", "understudy/rehearsal"),
    instructions="You serve a shop. Say honestly where an order fails.",
    tools=[to_tool(function) for function in functions.values()],
)
QUESTIONS = [
    "What is the stock of lamps, and the price of lamps? Then place an order for 3 lamps.",
    "Please place an order for 500 chairs.",
]
for question in sys.argv[1:] or QUESTIONS:
    ask(assistant.id, question)
