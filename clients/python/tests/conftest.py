from __future__ import annotations

import json
import os
import threading
import urllib.request
from typing import Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
from understudy_client import patch

KEYS = {
    "openai": "sk-key-of-openai",
    "groq": "gsk-key-of-groq",
    "deepseek": "key-of-deepseek",
    "xai": "xai-key-of-xai",
    "openrouter": "sk-or-key-of-openrouter",
    "together_ai": "key-of-together",
}
ENV = {
    "OPENAI_API_KEY": KEYS["openai"],
    "GROQ_API_KEY": KEYS["groq"],
    "DEEPSEEK_API_KEY": KEYS["deepseek"],
    "XAI_API_KEY": KEYS["xai"],
    "OPENROUTER_API_KEY": KEYS["openrouter"],
    "TOGETHERAI_API_KEY": KEYS["together_ai"],
}
SERVER = os.environ["TEST_SERVER_URL"]


def find_keys(headers: Any) -> list[str]:
    """Whose keys are in headers, whatever their names."""
    text = "\n".join(str(value) for value in headers.values())
    return [name for name, key in KEYS.items() if key in text]


def read_records() -> list[dict[str, Any]]:
    with urllib.request.urlopen(os.environ["TEST_RECORDS_URL"]) as answer:
        records: list[dict[str, Any]] = json.load(answer)
        return records


class Sent:
    """What left a client: method, path below /v1, headers and body of each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, str], dict[str, Any]]] = []
        self._lock = threading.Lock()

    def record(self, request: Any) -> None:
        is_json = request.headers.get("content-type") == "application/json"
        if is_json:
            body = json.loads(request.read())
        else:
            body = {}
        with self._lock:
            self.calls.append((request.method, request.url.path[len("/v1") :], dict(request.headers), body))

    async def arecord(self, request: Any) -> None:
        is_json = request.headers.get("content-type") == "application/json"
        body = json.loads(await request.aread()) if is_json else {}
        self.calls.append((request.method, request.url.path[len("/v1") :], dict(request.headers), body))

    def to(self, ending: str, method: str = "POST") -> list[dict[str, str]]:
        """The headers of calls with such a path."""
        return [headers for made, path, headers, _ in self.calls if made == method and path.endswith(ending)]

    def connect(self, env: dict[str, str] | None = None, **options: Any) -> OpenAI:
        http = DefaultHttpxClient(event_hooks={"request": [self.record]})
        client = OpenAI(api_key=KEYS["openai"], max_retries=0, http_client=http)
        return patch(client, base_url=SERVER, env=ENV if env is None else env, **options)

    def aconnect(self) -> AsyncOpenAI:
        http = DefaultAsyncHttpxClient(event_hooks={"request": [self.arecord]})
        client = AsyncOpenAI(api_key=KEYS["openai"], max_retries=0, http_client=http)
        return patch(client, base_url=SERVER, env=ENV)


@pytest.fixture
def sent() -> Sent:
    return Sent()
