"""The official Python client, unchanged. Prints a line `ok NAME` for each guarantee; anything else is a failure."""

import os

import openai
from openai import AssistantEventHandler, OpenAI

MODEL = "understudy/rehearsal"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
client = OpenAI(base_url=os.environ["UNDERSTUDY_URL"] + "/v1", api_key="understudy", max_retries=0)
threads = client.beta.threads
assistant = client.beta.assistants.create(model=MODEL, tools=[WEATHER])


def ask(text="What is the weather in Paris?"):
    return threads.create(messages=[{"role": "user", "content": text}])


def outputs(run):
    return [{"tool_call_id": call.id, "output": "sunny"} for call in run.required_action.submit_tool_outputs.tool_calls]


def polls():
    thread = ask()
    run = threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "requires_action", run
    run = threads.runs.submit_tool_outputs_and_poll(thread_id=thread.id, run_id=run.id, tool_outputs=outputs(run))
    assert run.status == "completed", run
    assert "sunny" in threads.messages.list(thread.id).data[0].content[0].text.value


def streams():
    class Handler(AssistantEventHandler):
        def __init__(self):
            super().__init__()
            self.text = ""
            self.names = []

        def on_event(self, event):
            self.names.append(event.event)

        def on_text_delta(self, delta, snapshot):
            self.text += delta.value or ""

    thread = ask()
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        run = stream.get_final_run()
    handler = Handler()
    with threads.runs.submit_tool_outputs_stream(
        thread_id=thread.id, run_id=run.id, tool_outputs=outputs(run), event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.names[-1] == "thread.run.completed", handler.names
    assert handler.text == threads.messages.list(thread.id).data[0].content[0].text.value


def creates_and_runs():
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hello"}]}
    )
    assert run.status == "completed", run
    steps = threads.runs.steps.list(run.id, thread_id=run.thread_id)
    assert [step.type for step in steps] == ["message_creation"]


def sees_pictures():
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}},
    ]
    thread = threads.create(messages=[{"role": "user", "content": content}])
    assert threads.messages.list(thread.id).data[0].content[1].image_url.detail == "low"
    assert threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id).status == "completed"


def pages():
    thread = threads.create()
    ids = [threads.messages.create(thread.id, role="user", content=str(i)).id for i in range(12)]
    assert [message.id for message in threads.messages.list(thread.id, order="asc", limit=5)] == ids


def errs():
    for call, kind in [
        (lambda: threads.retrieve("thread_none"), openai.NotFoundError),
        (lambda: client.beta.assistants.create(model=MODEL, temperature=9), openai.BadRequestError),
    ]:
        try:
            call()
        except kind as error:
            assert error.body["message"], error
        else:
            raise AssertionError(f"no {kind}")


def deletes():
    thread = ask()
    assert threads.delete(thread.id).deleted
    assert client.beta.assistants.delete(client.beta.assistants.create(model=MODEL).id).deleted


def chats():
    reply = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "rehearsal: say Hi"}])
    assert reply.choices[0].message.content == "Hi"
    assert len(client.embeddings.create(model=MODEL, input="a", dimensions=32).data[0].embedding) == 32


for check in [polls, streams, creates_and_runs, sees_pictures, pages, errs, deletes, chats]:
    check()
    print("ok", check.__name__, flush=True)
