"""`POST /v1/threads/{thread_id}/messages/{message_id}` with a `content`, which OpenAI does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Mapping, overload
from urllib.parse import quote

from openai import AsyncOpenAI, OpenAI
from openai.types.beta.threads import Message

if TYPE_CHECKING:
    from typing import Coroutine

    from openai.types.beta.threads.message_content_part_param import MessageContentPartParam


@overload
def edit_message(
    client: OpenAI,
    message_id: str,
    *,
    thread_id: str,
    content: str | Iterable[MessageContentPartParam],
    metadata: Mapping[str, str] | None = None,
) -> Message: ...


@overload
def edit_message(
    client: AsyncOpenAI,
    message_id: str,
    *,
    thread_id: str,
    content: str | Iterable[MessageContentPartParam],
    metadata: Mapping[str, str] | None = None,
) -> Coroutine[None, None, Message]: ...


def edit_message(
    client: OpenAI | AsyncOpenAI,
    message_id: str,
    *,
    thread_id: str,
    content: str | Iterable[MessageContentPartParam],
    metadata: Mapping[str, str] | None = None,
) -> Message | Coroutine[None, None, Message]:
    """Changes the content of a message on an understudy server; it keeps its id, its role and its place.

    `content`: the whole of it, as where a message is made. `metadata`: as it was, where it is left out.
    Errors: those of the client; 400 while a run is active on the thread.
    """
    path = f"/threads/{quote(thread_id, safe='')}/messages/{quote(message_id, safe='')}"
    body: dict[str, object] = {"content": content if isinstance(content, str) else list(content)}
    if metadata is not None:
        body["metadata"] = dict(metadata)
    return client.post(path, cast_to=Message, body=body)
