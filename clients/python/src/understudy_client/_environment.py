"""What the variables of the environment say of providers: for each the headers that its models need."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from typing import Mapping, Sequence

from ._catalogue import CATALOGUE, Entry

logger = logging.getLogger("understudy_client")

# What a header can carry.
_HEADER_TEXT = re.compile(r"[\x20-\x7e]+")
# Names of more than one provider's: with the provider's own in front, a value reaches nobody else, whatever the server
# makes of the model's name (an alias, a fallback).
_UNBOUND = frozenset({"api-key", "base-url", "api-version"})


@dataclass(frozen=True)
class Settings:
    # Values are secrets: none is shown where this is printed.
    providers: Mapping[str, Mapping[str, str]] = field(repr=False)
    """By the catalogue's id; the names are those behind `LLM-PARAM-` and `EMBEDDING-PARAM-`."""
    openai_key: str | None = field(repr=False)
    server_key: str | None = field(repr=False)
    base_url: str | None
    embedding_model: str | None
    store_headers: Mapping[str, str] = field(repr=False)
    """Sent with every call: where the data is kept."""


def read_settings(env: Mapping[str, str]) -> Settings:
    providers = {}
    for entry in CATALOGUE:
        values = _read_provider(entry, env)
        if values:
            providers[entry.id] = values
    store = {
        "astra-api-token": _read_first(["ASTRA_DB_APPLICATION_TOKEN"], env),
        "astra-db-id": _read_first(["ASTRA_DB_ID"], env),
    }
    return Settings(
        providers=providers,
        openai_key=_read_first(["OPENAI_API_KEY"], env),
        server_key=_read_first(["UNDERSTUDY_API_KEY"], env),
        base_url=_read_first(["UNDERSTUDY_BASE_URL", "base_url", "BASE_URL"], env),
        embedding_model=_read_first(["UNDERSTUDY_EMBEDDING_MODEL", "EMBEDDING_MODEL"], env),
        store_headers={name: value for name, value in store.items() if value is not None},
    )


def _read_provider(entry: Entry, env: Mapping[str, str]) -> dict[str, str]:
    """Nothing where nothing authorises a call: a region alone would stand in the place of the operator's."""
    values: dict[str, str] = {}
    key = _read_first(entry.key_variables, env)
    if key is not None:
        values[_bind(entry, "api-key")] = key
    for name, variables, file_variable in entry.parameters:
        value = _read_first(variables, env)
        if value is None and file_variable is not None:
            value = _read_file(file_variable, env)
        if value is not None:
            values[_bind(entry, name)] = value
    is_complete = any(all(_bind(entry, name) in values for name in names) for names in entry.key_sets)
    if not is_complete and not entry.is_key_optional:
        return {}
    # OpenAI's is the address of the server that this client calls.
    base_url = None if entry.id == "openai" else _read_first(entry.base_url_variables, env)
    if base_url is not None:
        values[_bind(entry, "base-url")] = base_url
    return values


def _bind(entry: Entry, name: str) -> str:
    return f"{re.sub('[_.]', '-', entry.id.lower())}-{name}" if name in _UNBOUND else name


def _read_first(variables: Sequence[str], env: Mapping[str, str]) -> str | None:
    """The first that is set; variables are often set to nothing, or end in a line's end."""
    for variable in variables:
        text = env.get(variable, "").strip()
        if not text:
            continue
        if _HEADER_TEXT.fullmatch(text):
            return text
        logger.warning("%s holds characters that no header may have, and is ignored.", variable)
    return None


def _read_file(variable: str, env: Mapping[str, str]) -> str | None:
    """A file of JSON, in one line."""
    path = env.get(variable, "").strip()
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return json.dumps(json.load(file))
    except (OSError, ValueError):
        # What is wrong with it must not be shown: it is a secret.
        logger.warning("%s names a file that cannot be read, and is ignored.", variable)
        return None
