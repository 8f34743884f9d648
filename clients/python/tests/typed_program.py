"""Checked by mypy alone: types are kept by `patch` and what stands beside it."""

from openai import AsyncOpenAI, OpenAI
from openai.types.beta import Assistant, Thread
from openai.types.beta.threads import Message

from understudy_client import edit_message, list_threads, patch, read_embedding_model


def use() -> list[Thread]:
    client: OpenAI = patch(OpenAI())
    assistant: Assistant = client.beta.assistants.create(model="groq/llama-3.3-70b-versatile")
    print(assistant.id)
    model: str | None = read_embedding_model(client.files.retrieve("file-1"))
    message: Message = edit_message(client, "msg_1", thread_id="thread_1", content=[{"type": "text", "text": "Hello"}])
    print(model, message.id)
    return list(list_threads(client, limit=5, order="asc", metadata={"user": "ann"}))


async def use_async() -> list[Thread]:
    client: AsyncOpenAI = patch(AsyncOpenAI())
    message: Message = await edit_message(client, "msg_1", thread_id="thread_1", content="Hello", metadata={"a": "b"})
    print(message.id)
    return [thread async for thread in list_threads(client)]
