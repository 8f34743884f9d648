"""
A program of astra-assistants-api, with the client that was published for it. Prints a line `ok NAME` for each guarantee; anything
else is a failure.
"""

import asyncio
import os
import tempfile
import traceback

from astra_assistants import patch
from astra_assistants.astra_assistants_event_handler import AstraEventHandler
from astra_assistants.astra_assistants_manager import AssistantManager
from astra_assistants.tools.tool_interface import ToolInterface, ToolResult
from openai import AssistantEventHandler, OpenAI
from pydantic import BaseModel

MODEL = "groq/script:" + os.environ["TEST_SCRIPTS"]
EMBEDDING_MODEL = "together_ai/any-embedding"
client = patch(OpenAI())
threads = client.beta.threads


def upload(text, **options):
    with tempfile.NamedTemporaryFile("w+b", suffix=".txt") as file:
        file.write(text.encode())
        file.seek(0)
        return client.files.create(file=open(file.name, "rb"), purpose="assistants", **options)


def files():
    file = upload("The ferry sails at nine.", embedding_model=EMBEDDING_MODEL)
    assert file.embedding_model == EMBEDDING_MODEL, file
    assert client.files.retrieve(file.id).embedding_model == EMBEDDING_MODEL
    assert {listed.id: listed for listed in client.files.list()}[file.id].embedding_model == EMBEDDING_MODEL
    assert upload("Nobody named a model for this one.").embedding_model is None


class Handler(AssistantEventHandler):
    """As the published tests have it, but that a message is a step, too."""

    def __init__(self):
        super().__init__()
        self.chunks = []
        self.text = ""

    def on_run_step_done(self, run_step):
        for tool_call in run_step.step_details.tool_calls:
            self.chunks += tool_call.file_search.chunks

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value or ""


def search(**options):
    file = upload("The ferry to Norderney sails at nine in the morning.", **options)
    store = client.vector_stores.create(name="papers", file_ids=[file.id])
    assistant = client.beta.assistants.create(model=MODEL + "-search", instructions="Answer from the files.")
    assistant = client.beta.assistants.update(
        assistant.id,
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )
    thread = threads.create()
    threads.messages.create(thread_id=thread.id, role="user", content="When does the ferry sail?")
    handler = Handler()
    with threads.runs.create_and_stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    [chunk] = handler.chunks
    assert set(chunk) == {"chunk_id", "content", "score", "file_id", "file_name", "bytes", "search_string"}, chunk
    assert (chunk["file_id"], chunk["search_string"]) == (file.id, "ferry"), chunk
    assert "Norderney" in chunk["content"] and handler.text == "At nine.", (chunk, handler.text)
    # The store is gone with its files, as the published tests leave it.
    for member in client.vector_stores.files.list(vector_store_id=store.id).data:
        client.vector_stores.files.delete(file_id=member.id, vector_store_id=store.id)
    client.vector_stores.delete(store.id)


def searches():
    search(embedding_model=EMBEDDING_MODEL)
    search()


def edits():
    thread = threads.create()
    message = threads.messages.create(thread_id=thread.id, role="user", content="puppies")
    modified = threads.messages.update(thread_id=thread.id, message_id=message.id, content="kittens")
    assert modified.content[0].text.value == "kittens", modified
    assert (modified.role, modified.id, modified.thread_id) == ("user", message.id, thread.id), modified
    threads.messages.delete(thread_id=thread.id, message_id=message.id)
    assert threads.messages.list(thread.id).data == []


def lists():
    made = [threads.create().id for _ in range(3)]
    assert [thread.id for thread in threads.list(limit=3, order="desc")][:3] == made[::-1]


class City(BaseModel):
    city: str


class get_weather(ToolInterface):
    def call(self, arguments: City) -> ToolResult:
        """The weather of a city."""
        return {"output": f"sunny in {arguments.city}", "cache_id": "none"}


def manages():
    plain = AssistantManager(instructions="Be short.", model=MODEL + "-plain", client=client)
    assert asyncio.run(plain.run_thread("Hello"))["text"] == "Hello there."
    tool = get_weather()
    manager = AssistantManager(instructions="Be short.", model=MODEL + "-tool", tools=[tool], client=client)
    told = asyncio.run(manager.run_thread("What is the weather in Paris?", tool=tool))
    assert (told["output"], told["text"]) == ("sunny in Paris", "It is sunny."), told


def handles():
    """The handler that came with the client, in a run that writes nothing but a message."""
    assistant = client.beta.assistants.create(model=MODEL + "-plain")
    thread = threads.create(messages=[{"role": "user", "content": "Hello"}])
    handler = AstraEventHandler(client)
    with threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as stream:
        stream.until_done()
        assert stream.current_run.status == "completed", stream.current_run


for guarantee in (files, searches, edits, lists, handles, manages):
    try:
        guarantee()
        print("ok", guarantee.__name__, flush=True)
    except Exception:
        print("failed", guarantee.__name__, flush=True)
        traceback.print_exc()
