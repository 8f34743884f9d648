"""A program written for OpenAI's Assistants API. The only thing that is not OpenAI's is the base URL.

    pip install openai
    npm start                                   (in another terminal)
    python examples/quickstart.py               streams an answer, calls a function
    python examples/quickstart.py thread_...    prints that conversation, after a restart of the server too

UNDERSTUDY_URL is the server (default http://127.0.0.1:8700). The built-in rehearsal model answers, which needs no key; with
OPENAI_MODEL the model of that name; with OPENAI_BASE_URL, set for the server as well, the first model of that address.
"""

import json
import os
import sys
import warnings

from openai import AssistantEventHandler, OpenAI

# The client warns at each call that OpenAI gives up this API: here it lives on.
warnings.filterwarnings("ignore", category=DeprecationWarning)

REHEARSAL = "understudy/rehearsal"

client = OpenAI(
    base_url=os.environ.get("UNDERSTUDY_URL", "http://127.0.0.1:8700") + "/v1",
    api_key="understudy",
)
threads = client.beta.threads


def choose_model():
    if os.environ.get("OPENAI_MODEL"):
        return os.environ["OPENAI_MODEL"]
    if not os.environ.get("OPENAI_BASE_URL"):
        return REHEARSAL
    return next((model.id for model in client.models.list() if model.id != REHEARSAL), REHEARSAL)


def get_weather(city):
    return json.dumps({"city": city, "celsius": 21, "sky": "clear"})


class Printer(AssistantEventHandler):
    """Prints the answer while it is made."""

    def on_text_created(self, text):
        print("\nassistant: ", end="", flush=True)

    def on_text_delta(self, delta, snapshot):
        print(delta.value or "", end="", flush=True)

    def on_text_done(self, text):
        print()


def finish(manager):
    with manager as stream:
        stream.until_done()
        run = stream.current_run
    if run.status == "failed":
        sys.exit(run.last_error.message)
    return run


def converse():
    """Answers the thread's id."""
    model = choose_model()
    print(f"The model is {model}.")
    assistant = client.beta.assistants.create(
        model=model,
        instructions="You are a friendly guide. Use get_weather for questions about the weather.",
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": "The weather in a city, now.",
                    "parameters": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "required": ["city"],
                    },
                },
            }
        ],
    )
    thread = threads.create(messages=[{"role": "user", "content": "Hello! Who are you?"}])
    finish(threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Printer()))

    threads.messages.create(thread.id, role="user", content="What is the weather in Paris?")
    run = finish(threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Printer()))
    while run.status == "requires_action":
        outputs = []
        for call in run.required_action.submit_tool_outputs.tool_calls:
            print(f"\n(the assistant calls {call.function.name} {call.function.arguments})")
            city = json.loads(call.function.arguments)["city"]
            outputs.append({"tool_call_id": call.id, "output": get_weather(city)})
        run = finish(
            threads.runs.submit_tool_outputs_stream(
                thread_id=thread.id, run_id=run.id, tool_outputs=outputs, event_handler=Printer()
            )
        )
    print(f"\n(the run is {run.status}, {run.usage.total_tokens if run.usage else 0} tokens)")
    return thread.id


def print_conversation(thread_id):
    print(f"\nThe conversation {thread_id}:")
    for message in threads.messages.list(thread_id, order="asc"):
        text = "".join(part.text.value for part in message.content if part.type == "text")
        print(f"  {message.role}: {text}")


given = sys.argv[1] if len(sys.argv) > 1 else None
kept = given or converse()
print_conversation(kept)
if given is None:
    print(f"\nIt is kept: restart the server, and run this again with {kept}.")
