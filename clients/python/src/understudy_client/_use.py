"""Which models a call makes the server ask."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Callable, Literal, Mapping
from urllib.parse import parse_qs, quote

# A field's part of a form: its headers, an empty line, its value in one line.
_MODEL_FIELD = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]+)\r\n')

Embedding = Literal["names", "asks", "maybe", "none"]


@dataclass(frozen=True)
class Use:
    model: str | None = None
    """The model that the call names."""
    holder: str | None = None
    """The path of the assistant or run that has model and tools, where the call itself does not say."""
    tools: object = None
    """The tools that the call names; None: those of the holder."""
    embedding: Embedding = "none"
    """`names`: it may decide a store's embedding model; `asks`: it asks one; `maybe`: where files are searched."""


def find_use(method: str, path: list[str], query: str, read_body: Callable[[], bytes]) -> Use:
    first = path[0] if path else ""
    asked = _to_name(next(iter(parse_qs(query).get("model", [])), None))
    if method != "POST":
        return Use(model="/".join(path[1:]) if first == "models" and len(path) > 1 else asked)
    if first in ("files", "uploads"):
        return Use(embedding="names")
    if first == "vector_stores":
        return Use(embedding=_to_store_embedding(path))
    if first == "threads" and len(path) == 5 and path[2] == "runs" and path[4] == "submit_tool_outputs":
        return Use(holder=f"threads/{quote(path[1], safe='')}/runs/{quote(path[3], safe='')}", embedding="maybe")
    body = _read_members(read_body())
    if first == "threads" and (path[1:] == ["runs"] or (len(path) == 3 and path[2] == "runs")):
        assistant = _to_name(body.get("assistant_id"))
        names = _names_stores(body) or _names_stores(_to_members(body.get("thread")))
        return Use(
            model=_to_name(body.get("model")),
            holder=None if assistant is None else f"assistants/{quote(assistant, safe='')}",
            tools=body.get("tools"),
            embedding="names" if names else "maybe",
        )
    if first in ("assistants", "threads"):
        return Use(embedding="names" if _names_stores(body) else "none")
    return Use(model=_to_name(body.get("model")) or asked)


def find_changed_assistant(method: str, path: list[str]) -> str | None:
    """The path of the assistant that a call changes or deletes."""
    is_change = len(path) == 2 and path[0] == "assistants" and method in ("POST", "DELETE")
    return f"assistants/{quote(path[1], safe='')}" if is_change else None


def searches_files(tools: object) -> bool:
    return any(_to_members(tool).get("type") == "file_search" for tool in _to_list(tools))


def _to_store_embedding(path: list[str]) -> Embedding:
    if len(path) > 1 and path[-1] == "search":
        return "asks"
    return "none" if len(path) > 1 and path[-1] == "cancel" else "names"


def _names_stores(body: Mapping[str, Any]) -> bool:
    """Whether a body makes a vector store, or puts files into one."""
    search = _to_members(_to_members(body.get("tool_resources")).get("file_search"))
    if _to_list(search.get("vector_stores")):
        return True
    messages = [body, *_to_list(body.get("messages")), *_to_list(body.get("additional_messages"))]
    return any(
        searches_files(_to_members(attachment).get("tools"))
        for message in messages
        for attachment in _to_list(_to_members(message).get("attachments"))
    )


def _read_members(body: bytes) -> Mapping[str, Any]:
    try:
        return _to_members(json.loads(body))
    except ValueError:
        # A form, as with sound and pictures.
        found = _MODEL_FIELD.search(body)
        return {} if found is None else {"model": found.group(1).decode("utf-8", "replace")}


def _to_members(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _to_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _to_name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
