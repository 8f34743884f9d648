"""The headers of a call: those of its models' providers, and of nobody else."""

from __future__ import annotations

import re
from typing import Mapping, MutableMapping

from ._environment import Settings
from ._names import find_provider

# SDKs insist on a key: this one says that there is none.
NO_KEY = "understudy"
# What keys of understudy's own begin with.
_SERVER_KEY_PREFIX = "sk-understudy-"
# By these a caller says himself who answers, and with what key: nothing is added.
_STEERING = ("api-key", "base-url", "llm-param-api-key", "llm-param-base-url")
_EMBEDDING_STEERING = ("embedding-param-api-key", "embedding-param-base-url")


def set_plain_headers(headers: MutableMapping[str, str], settings: Settings) -> str | None:
    """Those of a call that asks no model. Answers OpenAI's key, from what the client was made with or the environment."""
    found = re.fullmatch(r"\s*bearer\s+(\S+)\s*", headers.get("authorization", ""), re.IGNORECASE)
    given = found.group(1) if found else NO_KEY
    is_server_key = given.startswith(_SERVER_KEY_PREFIX)
    server_key = settings.server_key or (given if is_server_key else NO_KEY)
    headers["authorization"] = f"Bearer {server_key}"
    # The official client sends them with every call, whoever's model is asked.
    headers.pop("openai-organization", None)
    headers.pop("openai-project", None)
    _add(headers, "", settings.store_headers)
    return settings.openai_key if is_server_key or given in (NO_KEY, server_key) else given


def set_call_headers(
    headers: MutableMapping[str, str],
    settings: Settings,
    *,
    model: str | None,
    embedding_model: str | None,
    names_embedding: bool,
) -> None:
    """Changes `headers`; what the caller set himself stays. `embedding_model`: None where the call asks none."""
    account = {
        name: headers[f"openai-{name}"] for name in ("organization", "project") if f"openai-{name}" in headers
    }
    openai_key = set_plain_headers(headers, settings)
    openai = {k: v for k, v in settings.providers.get("openai", {}).items() if k != "openai-api-key"}
    openai.update(account)
    is_steered = any(name in headers for name in _STEERING)
    provider = None if is_steered else find_provider(model, headers.get("custom-llm-provider", "").strip())
    if provider == "openai":
        _add(headers, "llm-param-", openai)
        if openai_key is not None and headers["authorization"] == f"Bearer {NO_KEY}":
            headers["authorization"] = f"Bearer {openai_key}"
        elif openai_key is not None:
            _add(headers, "llm-param-", {"openai-api-key": openai_key})
    elif provider is not None:
        _add(headers, "llm-param-", settings.providers.get(provider, {}))
    if embedding_model is None or any(name in headers for name in _EMBEDDING_STEERING):
        return
    embedder = find_provider(embedding_model)
    values = dict(openai) if embedder == "openai" else settings.providers.get(embedder or "", {})
    if embedder == "openai" and openai_key is not None:
        values = {**values, "openai-api-key": openai_key}
    _add(headers, "embedding-param-", values)
    if names_embedding:
        _add(headers, "", {"embedding-model": embedding_model})


def _add(headers: MutableMapping[str, str], prefix: str, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        headers.setdefault(prefix + name, value)
