"""`GET /v1/threads`, which OpenAI never had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, overload

from openai import AsyncOpenAI, OpenAI
from openai.pagination import AsyncCursorPage, SyncCursorPage
from openai.types.beta import Thread

if TYPE_CHECKING:
    from typing import Literal

    from openai._base_client import AsyncPaginator


@overload
def list_threads(
    client: OpenAI,
    *,
    limit: int | None = None,
    order: Literal["asc", "desc"] | None = None,
    after: str | None = None,
    before: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> SyncCursorPage[Thread]: ...


@overload
def list_threads(
    client: AsyncOpenAI,
    *,
    limit: int | None = None,
    order: Literal["asc", "desc"] | None = None,
    after: str | None = None,
    before: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> AsyncPaginator[Thread, AsyncCursorPage[Thread]]: ...


def list_threads(
    client: OpenAI | AsyncOpenAI,
    *,
    limit: int | None = None,
    order: Literal["asc", "desc"] | None = None,
    after: str | None = None,
    before: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> SyncCursorPage[Thread] | AsyncPaginator[Thread, AsyncCursorPage[Thread]]:
    """Lists threads of an understudy server, as the official client lists everything else: iterate for all pages.

    `limit`: threads of one page, 1 to 100, 20 by default. `order`: by the time of their making, `desc` by default.
    `after`, `before`: the id of a thread. `metadata`: threads whose metadata has all of these pairs.
    Errors: those of the client.
    """
    given = {"limit": limit, "order": order, "after": after, "before": before}
    query: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    query.update({f"metadata[{name}]": value for name, value in (metadata or {}).items()})
    if isinstance(client, AsyncOpenAI):
        return client.get_api_list("/threads", page=AsyncCursorPage[Thread], model=Thread, options={"params": query})
    return client.get_api_list("/threads", page=SyncCursorPage[Thread], model=Thread, options={"params": query})
