"""The official Python client, unchanged. Prints a line `ok NAME` for each guarantee; anything else is a failure."""

import asyncio
import os
import traceback

import openai
from openai import AssistantEventHandler, AsyncAssistantEventHandler, AsyncOpenAI, OpenAI

MODEL = "understudy/rehearsal"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SERVER = {"base_url": os.environ["UNDERSTUDY_URL"] + "/v1", "api_key": "understudy", "max_retries": 0}
client = OpenAI(**SERVER)
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


class Recorder(AssistantEventHandler):
    """The names of the handlers as they are called; one that is called again and again counts once in a row."""

    def __init__(self):
        super().__init__()
        self.called = []

    def note(self, name):
        if self.called[-1:] != [name]:
            self.called.append(name)

    def on_run_step_created(self, run_step):
        self.note("run_step_created")

    def on_run_step_done(self, run_step):
        self.note("run_step_done")

    def on_tool_call_created(self, tool_call):
        self.note("tool_call_created")

    def on_tool_call_delta(self, delta, snapshot):
        self.note("tool_call_delta")

    def on_tool_call_done(self, tool_call):
        self.note("tool_call_done " + tool_call.function.arguments)

    def on_message_created(self, message):
        self.note("message_created")

    def on_text_created(self, text):
        self.note("text_created")

    def on_text_delta(self, delta, snapshot):
        self.note("text_delta")

    def on_text_done(self, text):
        self.note("text_done")

    def on_message_done(self, message):
        self.note("message_done")

    def on_end(self):
        self.note("end")


def calls_handlers_in_order():
    thread = ask()
    asking = Recorder()
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=asking) as stream:
        stream.until_done()
        run = stream.current_run
    assert asking.called == [
        "run_step_created",
        "tool_call_created",
        "tool_call_delta",
        'tool_call_done {"city":"Paris"}',
        "end",
    ], asking.called
    answering = Recorder()
    with threads.runs.submit_tool_outputs_stream(
        thread_id=thread.id, run_id=run.id, tool_outputs=outputs(run), event_handler=answering
    ) as stream:
        stream.until_done()
        [message] = stream.get_final_messages()
        steps = stream.get_final_run_steps()
    assert answering.called == [
        "run_step_done",
        "run_step_created",
        "message_created",
        "text_created",
        "text_delta",
        "text_done",
        "message_done",
        "run_step_done",
        "end",
    ], answering.called
    assert message == threads.messages.retrieve(message.id, thread_id=thread.id)
    # This client takes no final states of steps into its snapshots: only which steps there are can be compared.
    kept = [step.id for step in threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")]
    assert [step.id for step in steps] == kept[1:], (steps, kept)
    assert steps[-1].step_details.message_creation.message_id == message.id


def streams_asynchronously():
    class Handler(AsyncAssistantEventHandler):
        text = ""

        async def on_text_delta(self, delta, snapshot):
            self.text += delta.value or ""

    async def converse():
        async with AsyncOpenAI(**SERVER) as later:
            thread = await later.beta.threads.create(messages=[{"role": "user", "content": "rehearsal: say One two"}])
            handler = Handler()
            async with later.beta.threads.runs.stream(
                thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
            ) as stream:
                await stream.until_done()
            assert handler.text == "One two", handler.text
            run = await later.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
            assert run.status == "completed", run
            seen = [message.role async for message in later.beta.threads.messages.list(thread.id, limit=1)]
            assert seen == ["assistant", "assistant", "user"], seen

    asyncio.run(converse())


def leaves_early():
    thread = ask("rehearsal: words 40\nrehearsal: slow 5ms")
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for event in stream:
            if event.event == "thread.message.delta":
                break
        run = stream.current_run
    assert threads.runs.poll(run.id, thread_id=thread.id).status == "completed"


def fails():
    thread = ask("rehearsal: fail midway")
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        stream.until_done()
        run = stream.current_run
    assert run.status == "failed" and run.last_error.code == "server_error", run


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
    assert [message.id for message in threads.messages.list(thread.id, limit=5)] == ids[::-1]
    runs = [threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id).id for _ in range(3)]
    assert [run.id for run in threads.runs.list(thread.id, order="asc", limit=1)] == runs
    steps = [step.run_id for step in threads.runs.steps.list(runs[0], thread_id=thread.id, limit=1)]
    assert steps == [runs[0]]
    assistants = [client.beta.assistants.create(model=MODEL).id for _ in range(3)]
    listed = [one.id for one in client.beta.assistants.list(order="asc", limit=2)]
    assert listed[-3:] == assistants and len(set(listed)) == len(listed)


def errs():
    pending = threads.runs.create_and_poll(thread_id=ask().id, assistant_id=assistant.id)
    for call, kind, param in [
        (lambda: threads.retrieve("thread_none"), openai.NotFoundError, None),
        (lambda: client.beta.assistants.create(model=MODEL, temperature=9), openai.BadRequestError, "temperature"),
        (
            lambda: threads.runs.submit_tool_outputs(
                pending.id, thread_id=pending.thread_id, tool_outputs=[{"tool_call_id": "call_none", "output": ""}]
            ),
            openai.BadRequestError,
            "tool_outputs[0].tool_call_id",
        ),
        (
            lambda: threads.messages.create(pending.thread_id, role="user", content="And now?"),
            openai.BadRequestError,
            None,
        ),
    ]:
        try:
            call()
        except kind as error:
            assert error.body["message"] and error.request_id, error
            assert error.param == param, error.param
        else:
            raise AssertionError(f"no {kind}")


def changes():
    made = client.beta.assistants.create(model=MODEL, name="A", metadata={"k": "v"})
    changed = client.beta.assistants.update(made.id, name="B")
    assert (changed.name, changed.metadata) == ("B", {"k": "v"}), changed
    thread = ask()
    [message] = threads.messages.list(thread.id)
    updated = threads.messages.update(message.id, thread_id=thread.id, metadata={"a": "b"})
    assert updated.metadata == {"a": "b"} and updated.content == message.content, updated
    assert threads.update(thread.id, metadata={"user": "1"}).metadata == {"user": "1"}
    run = threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    threads.runs.cancel(run.id, thread_id=thread.id)
    assert threads.runs.poll(run.id, thread_id=thread.id).status == "cancelled"


def deletes():
    thread = ask()
    [message] = threads.messages.list(thread.id)
    assert threads.messages.delete(message.id, thread_id=thread.id).deleted
    assert list(threads.messages.list(thread.id)) == []
    assert threads.delete(thread.id).deleted
    made = client.beta.assistants.create(model=MODEL)
    assert client.beta.assistants.delete(made.id).deleted
    try:
        client.beta.assistants.retrieve(made.id)
    except openai.NotFoundError:
        return
    raise AssertionError("The assistant is still there.")


def chats():
    messages = [{"role": "user", "content": "rehearsal: say Hi there"}]
    reply = client.chat.completions.create(model=MODEL, messages=messages)
    assert reply.choices[0].message.content == "Hi there"
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    ]
    assert "".join(pieces) == "Hi there", pieces
    # The client asks for packed numbers unless it is told otherwise.
    packed = client.embeddings.create(model=MODEL, input="a b", dimensions=32).data[0].embedding
    plain = client.embeddings.create(model=MODEL, input="a b", dimensions=32, encoding_format="float")
    assert len(packed) == 32
    assert max(abs(a - b) for a, b in zip(packed, plain.data[0].embedding)) < 1e-6
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).object == "model"


CHECKS = [
    polls,
    streams,
    calls_handlers_in_order,
    streams_asynchronously,
    leaves_early,
    fails,
    creates_and_runs,
    sees_pictures,
    pages,
    errs,
    changes,
    deletes,
    chats,
]
for check in CHECKS:
    try:
        check()
        print("ok", check.__name__, flush=True)
    except Exception:
        # The other guarantees are judged all the same.
        print("failed", check.__name__, traceback.format_exc(), flush=True)
