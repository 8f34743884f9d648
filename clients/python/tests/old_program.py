"""A program for OpenAI's Assistants API: an event handler, a function, and a search in a file."""

import json

from openai import AssistantEventHandler, OpenAI

client = OpenAI()
threads = client.beta.threads


class Printer(AssistantEventHandler):
    def on_text_delta(self, delta, snapshot):
        print(delta.value or "", end="", flush=True)

    def on_text_done(self, text):
        print()


def run_with_function():
    assistant = client.beta.assistants.create(
        model="groq/script:python-tools",
        tools=[{"type": "function", "function": {"name": "get_weather"}}],
    )
    thread = threads.create(messages=[{"role": "user", "content": "What is the weather in Paris?"}])
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Printer()) as stream:
        stream.until_done()
        run = stream.current_run
    outputs = []
    for call in run.required_action.submit_tool_outputs.tool_calls:
        print("calls", call.function.name, json.loads(call.function.arguments)["city"])
        outputs.append({"tool_call_id": call.id, "output": "sunny"})
    with threads.runs.submit_tool_outputs_stream(
        thread_id=thread.id, run_id=run.id, tool_outputs=outputs, event_handler=Printer()
    ) as stream:
        stream.until_done()
        print("weather", stream.current_run.status)


def run_with_file():
    store = client.vector_stores.create(name="Ferry")
    client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("ferry.txt", b"The ferry to Norderney sails at nine in the morning.")
    )
    assistant = client.beta.assistants.create(
        model="understudy/rehearsal",
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )
    thread = threads.create(messages=[{"role": "user", "content": "When does the ferry sail?"}])
    run = threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    [message] = threads.messages.list(thread.id, run_id=run.id).data
    for annotation in message.content[0].text.annotations:
        print("cites", client.files.retrieve(annotation.file_citation.file_id).filename)
    print("search", run.status)


run_with_function()
run_with_file()
