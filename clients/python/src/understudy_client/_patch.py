"""An official client that calls understudy, and sends with each call only the keys that its models need."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Mapping, TypeVar
from urllib.parse import urlsplit

from openai import AsyncOpenAI, OpenAI

from ._environment import read_settings
from ._names import is_provider_url
from ._transport import AsyncTransport, Router, SyncTransport

DEFAULT_BASE_URL = "http://127.0.0.1:8700/v1"

Client = TypeVar("Client", OpenAI, AsyncOpenAI)


def patch(
    client: Client,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    embedding_model: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Client:
    """Answers a new client of the same type; the given one stays as it is, and keeps its connections.

    `base_url`: where understudy is, with `/v1` added where it has no path; else `UNDERSTUDY_BASE_URL`, `base_url`,
    `BASE_URL`, the client's own unless that is a provider's, `http://127.0.0.1:8700/v1`.
    `api_key`: a key of the server's own; else `UNDERSTUDY_API_KEY`.
    `embedding_model`: that of new vector stores; else `UNDERSTUDY_EMBEDDING_MODEL`, `EMBEDDING_MODEL`.
    `env`: where keys and settings are read, at once and only then; by default the variables of this process.
    Errors: `TypeError` for what is no such client, `ValueError` for a base URL that is none.
    """
    if type(client).__name__.endswith("AzureOpenAI") or not isinstance(client, (OpenAI, AsyncOpenAI)):
        raise TypeError("patch takes a client of OpenAI or AsyncOpenAI.")
    settings = read_settings(os.environ if env is None else env)
    settings = replace(settings, server_key=api_key or settings.server_key)
    own = str(client.base_url)
    url = _to_base_url(base_url or settings.base_url or (DEFAULT_BASE_URL if is_provider_url(own) else own))
    router = Router(settings, url, embedding_model or settings.embedding_model)
    # No public member tells what a client sends with.
    inner: Any = client._client
    # Not built of the wrapper that closes itself: the pool is the given client's.
    if isinstance(client, AsyncOpenAI):
        outer = _find_base(inner, "AsyncClient")(transport=AsyncTransport(inner, router), **_to_options(inner))
    else:
        outer = _find_base(inner, "Client")(transport=SyncTransport(inner, router), **_to_options(inner))
    return client.with_options(base_url=url, http_client=outer)


def _find_base(inner: object, name: str) -> Any:
    """The plain client of the library that the given one is of: `httpx`, or `httpx2` since version 3 of OpenAI's."""
    for base in type(inner).__mro__:
        if base.__name__ == name and base.__module__.partition(".")[0] in ("httpx", "httpx2"):
            return base
    raise TypeError("The client sends with something that is neither of httpx nor of httpx2.")


def _to_options(inner: Any) -> dict[str, object]:
    return {
        "headers": inner.headers,
        "cookies": inner.cookies,
        "params": inner.params,
        "timeout": inner.timeout,
        "follow_redirects": inner.follow_redirects,
        # Proxies are the given client's matter.
        "trust_env": False,
    }


def _to_base_url(text: str) -> str:
    url = urlsplit(text.strip())
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("understudy's base URL must be a URL like http://127.0.0.1:8700/v1.")
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/') or '/v1'}"
