"""Whose model a name means, by the rules of the server."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ._catalogue import CATALOGUE, NAME_RULES, Entry

_BY_PREFIX = {prefix: entry for entry in CATALOGUE for prefix in (entry.id, *entry.aliases)}
_RULES = tuple((provider, re.compile(pattern, re.ASCII)) for provider, pattern in NAME_RULES)
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOSTS = tuple(
    re.compile("".join(_LABEL if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", host)))
    for entry in CATALOGUE
    for host in entry.hosts
)


def find_entry(prefix: str) -> Entry | None:
    """By an id or an alias: `groq`, `cohere_chat`."""
    return _BY_PREFIX.get(prefix)


def find_provider(model: str | None, custom: str | None = None) -> str | None:
    """The catalogue's id; None where only the server may know. `custom` is what `custom-llm-provider` says."""
    if custom:
        entry = find_entry(custom)
        return None if entry is None else entry.id
    if model is None:
        return None
    prefix, slash, rest = model.partition("/")
    entry = find_entry(prefix) if slash and rest else None
    if entry is not None:
        return entry.id
    return next((provider for provider, pattern in _RULES if pattern.search(model)), None)


def is_provider_url(url: str) -> bool:
    """Whether a URL is that of a known provider: keys of all the others must not go there."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "https" and parts.port is None and any(pattern.fullmatch(host) for pattern in _HOSTS)
