"""The official Python client, unchanged. Prints a line `ok NAME` for each guarantee; anything else is a failure."""

import asyncio
import hashlib
import os
import pathlib
import tempfile
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


def files():
    content = bytes(range(256)) * 3000
    name = 'Übersicht "März" – 日本 50%.txt'
    made = client.files.create(
        file=(name, content),
        purpose="assistants",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (made.filename, made.bytes) == (name, len(content)), made
    assert made.expires_at == made.created_at + 3600, made
    assert client.files.wait_for_processing(made.id, poll_interval=0.01).status == "processed"
    assert client.files.content(made.id).content == content
    with client.files.with_streaming_response.content(made.id) as response:
        assert b"".join(response.iter_bytes()) == content
    plain = client.files.create(file=b"bytes without a name", purpose="user_data")
    assert client.files.content(plain.id).text == "bytes without a name"
    assert {made.id, plain.id} <= {file.id for file in client.files.list(limit=1)}
    for file in (made, plain):
        assert client.files.delete(file.id).deleted
    try:
        client.files.retrieve(made.id)
        raise AssertionError("it is still there")
    except openai.NotFoundError as error:
        assert error.body["message"] == f"No such File object: {made.id}", error.body


def uploads():
    content = os.urandom(3_000_001)
    with tempfile.NamedTemporaryFile(suffix="ü.bin") as file:
        file.write(content)
        file.flush()
        upload = client.uploads.upload_file_chunked(
            file=pathlib.Path(file.name),
            mime_type="application/octet-stream",
            purpose="user_data",
            part_size=1_000_000,
            md5=hashlib.md5(content).hexdigest(),
        )
    assert (upload.status, upload.file.bytes) == ("completed", len(content)), upload
    assert client.files.content(upload.file.id).content == content
    begun = client.uploads.create(filename="a", bytes=10, mime_type="text/plain", purpose="user_data")
    client.uploads.parts.create(begun.id, data=b"12345")
    assert client.uploads.cancel(begun.id).status == "cancelled"


def cites():
    words = "😀 Guests may check in from 3 pm."
    store = client.vector_stores.create()
    put = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("rules 🏠.md", words.encode()), poll_interval_ms=20
    )
    assert put.status == "completed", put
    searching = client.beta.assistants.create(
        model=MODEL,
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )
    thread = ask("When may guests check in?")
    with threads.runs.stream(thread_id=thread.id, assistant_id=searching.id) as stream:
        [told] = stream.get_final_messages()
    kept = threads.messages.list(thread.id).data[0]
    for message in (told, kept):
        text = message.content[0].text
        [cited] = text.annotations
        assert cited.text == "【4:0†rules 🏠.md】", cited
        assert text.value[cited.start_index : cited.end_index] == cited.text, text
        assert cited.file_citation.file_id == put.id, cited
    assert told.content[0].text.value == kept.content[0].text.value
    include = ["step_details.tool_calls[*].file_search.results[*].content"]
    step = threads.runs.steps.list(kept.run_id, thread_id=thread.id, order="asc", include=include).data[0]
    [result] = step.step_details.tool_calls[0].file_search.results
    assert (result.file_id, result.content[0].text) == (put.id, words), result


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
    files,
    uploads,
    cites,
]
for check in CHECKS:
    try:
        check()
        print("ok", check.__name__, flush=True)
    except Exception:
        # The other guarantees are judged all the same.
        print("failed", check.__name__, traceback.format_exc(), flush=True)
