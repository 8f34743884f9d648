"""Checked by mypy alone: types are kept by `patch` and `list_threads`."""

from openai import AsyncOpenAI, OpenAI
from openai.types.beta import Assistant, Thread

from understudy_client import list_threads, patch


def use() -> list[Thread]:
    client: OpenAI = patch(OpenAI())
    assistant: Assistant = client.beta.assistants.create(model="groq/llama-3.3-70b-versatile")
    print(assistant.id)
    return list(list_threads(client, limit=5, order="asc", metadata={"user": "ann"}))


async def use_async() -> list[Thread]:
    client: AsyncOpenAI = patch(AsyncOpenAI())
    return [thread async for thread in list_threads(client)]
