"""A program written for OpenAI's Assistants API. The only thing that is not OpenAI's is the base URL.

    pip install openai
    npm start                                   (in another terminal)
    python examples/quickstart.py               streams an answer, calls a function
    python examples/quickstart.py thread_...    prints that conversation, after a restart of the server too

UNDERSTUDY_URL is the server (default http://127.0.0.1:8700). OPENAI_MODEL names the model; without it, a server that was
started with OPENAI_BASE_URL is asked for its first model, and the built-in rehearsal model answers where there is none.
"""

import json
import os
import sys

from openai import AssistantEventHandler, OpenAI

REHEARSAL = "understudy/rehearsal"

client = OpenAI(
    base_url=os.environ.get("UNDERSTUDY_URL", "http://127.0.0.1:8700") + "/v1",
    api_key="understudy",
)


def choose_model() -> str:
    if os.environ.get("OPENAI_MODEL"):
        return os.environ["OPENAI_MODEL"]
    if not os.environ.get("OPENAI_BASE_URL"):
        return REHEARSAL
    names = [model.id for model in client.models.list()]
    return next((name for name in names if name != REHEARSAL), REHEARSAL)


def get_weather(city: str) -> str:
    return json.dumps({"city": city, "celsius": 21, "sky": "clear"})


class Printer(AssistantEventHandler):
    def on_text_delta(self, delta, snapshot):
        print(delta.value or "", end="", flush=True)


def print_conversation(thread_id: str) -> None:
    print(f"\nThe conversation {thread_id}:")
    for message in client.beta.threads.messages.list(thread_id, order="asc"):
        text = "".join(part.text.value for part in message.content if part.type == "text")
        print(f"  {message.role}: {text}")


def converse() -> str:
    assistant = client.beta.assistants.create(
        model=choose_model(),
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
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Hello! Who are you?"}])

    print("\nassistant: ", end="")
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=Printer()
    ) as stream:
        stream.until_done()

    client.beta.threads.messages.create(thread.id, role="user", content="What is the weather in Paris?")
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    while run.status == "requires_action":
        outputs = []
        for call in run.required_action.submit_tool_outputs.tool_calls:
            print(f"\n\n(the assistant calls {call.function.name} {call.function.arguments})")
            city = json.loads(call.function.arguments)["city"]
            outputs.append({"tool_call_id": call.id, "output": get_weather(city)})
        print("\nassistant: ", end="")
        with client.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=thread.id, run_id=run.id, tool_outputs=outputs, event_handler=Printer()
        ) as stream:
            stream.until_done()
        run = client.beta.threads.runs.retrieve(run.id, thread_id=thread.id)
    print(f"\n\n(the run is {run.status}, {run.usage.total_tokens if run.usage else 0} tokens)")
    return thread.id


given = sys.argv[1] if len(sys.argv) > 1 else None
kept = given or converse()
print_conversation(kept)
if given is None:
    print(f"\nIt is kept: restart the server, and run this again with {kept}.")
