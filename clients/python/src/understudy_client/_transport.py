"""What stands between an official client and its own HTTP client: it gives each call its headers, and changes nothing else."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, AsyncIterator, Iterator
from urllib.parse import unquote, urlsplit

import anyio

from ._environment import Settings
from ._headers import set_call_headers, set_plain_headers
from ._remembered import Held, Remembered
from ._use import Use, find_changed_assistant, find_use, searches_files

if TYPE_CHECKING:
    import httpx2 as httpx

LOOKUP_TIMEOUT_SECONDS = 30.0
# They are about the body of a call, or for its model.
_NOT_FOR_LOOKUPS = ("api-key", "base-url", "content-type", "content-length", "transfer-encoding", "idempotency-key")


class Call:
    """One call of the client. `request` is not changed: whoever redirects it would get the keys."""

    def __init__(self, router: Router, request: httpx.Request, path: list[str]) -> None:
        self._router = router
        self._request = request
        self.changed = find_changed_assistant(request.method, path)
        self._use = find_use(request.method, path, request.url.query.decode("ascii"), lambda: request.content)
        self._embedding_model = request.headers.get("embedding-model", "").strip() or router.embedding_model
        wants_tools = (
            self._use.embedding == "maybe" and self._embedding_model is not None and not isinstance(self._use.tools, list)
        )
        self.holder = self._use.holder if self._use.model is None or wants_tools else None

    def to_request(self, held: Held | None) -> httpx.Request:
        """The request with its headers."""
        use: Use = self._use
        is_embedding = use.embedding in ("names", "asks")
        if use.embedding == "maybe":
            tools = use.tools if use.tools is not None or held is None else held.tools
            is_embedding = searches_files(tools)
        request = self._request
        headers = request.headers.copy()
        set_call_headers(
            headers,
            self._router.settings,
            model=use.model or (None if held is None else held.model),
            embedding_model=self._embedding_model if is_embedding else None,
            names_embedding=use.embedding == "names",
        )
        return type(request)(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def to_lookup(self, holder: str) -> httpx.Request:
        headers = self._request.headers.copy()
        set_plain_headers(headers, self._router.settings)
        for name in list(headers):
            if name in _NOT_FOR_LOOKUPS or name.startswith(("llm-param-", "embedding-")):
                del headers[name]
        headers["accept"] = "application/json"
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), LOOKUP_TIMEOUT_SECONDS)
        url = f"{self._router.base_url}/{holder}"
        return type(self._request)("GET", url, headers=headers, extensions={"timeout": timeout})


class Router:
    """What both transports have in common."""

    def __init__(self, settings: Settings, base_url: str, embedding_model: str | None) -> None:
        self.settings = settings
        self.base_url = base_url
        self.embedding_model = embedding_model
        self.remembered = Remembered()

    def find_path(self, request: httpx.Request) -> list[str] | None:
        """Below the base URL, in its parts; None for a call that goes elsewhere: nothing of ours goes there."""
        base, url = urlsplit(self.base_url), urlsplit(str(request.url))
        root = f"{base.path}/"
        if (base.scheme, base.netloc.lower()) != (url.scheme, url.netloc.lower()) or not url.path.startswith(root):
            return None
        return [unquote(part) for part in url.path[len(root) :].split("/") if part]

    @staticmethod
    def needs_body(request: httpx.Request, path: list[str]) -> bool:
        """Files are sent as they come."""
        return request.method == "POST" and path[:1] not in (["files"], ["uploads"], ["vector_stores"])


def read_held(response: httpx.Response) -> Held | None:
    """None where the server does not tell: the call that needs it then says why."""
    try:
        value = response.json() if response.status_code == 200 else None
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    model = value.get("model")
    return Held(model if isinstance(model, str) else None, value.get("tools"))


class SyncTransport:
    """Sends with the given client, which keeps its pool, proxies and hooks."""

    def __init__(self, inner: httpx.Client, router: Router) -> None:
        self._inner = inner
        self._router = router
        self._guard = threading.Lock()
        self._lookups: dict[str, tuple[threading.Lock, int]] = {}

    def __enter__(self) -> SyncTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The given client is its owner's, and stays open."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = self._router.find_path(request)
        if path is None:
            return self._send(request)
        if self._router.needs_body(request, path):
            request.read()
        call = Call(self._router, request, path)
        ready = call.to_request(None if call.holder is None else self._find(call, call.holder))
        if call.changed is None:
            return self._send(ready)
        try:
            return self._send(ready)
        finally:
            self._router.remembered.forget(call.changed)

    def _send(self, request: httpx.Request) -> httpx.Response:
        return self._inner.send(request, stream=True, follow_redirects=False)

    def _find(self, call: Call, holder: str) -> Held | None:
        held, _ = self._router.remembered.find(holder)
        if held is not None:
            return held
        with self._alone(holder):
            held, ticket = self._router.remembered.find(holder)
            if held is not None:
                return held
            held = read_held(self._inner.send(call.to_lookup(holder), follow_redirects=False))
            if held is not None:
                self._router.remembered.keep(holder, held, ticket)
            return held

    @contextmanager
    def _alone(self, holder: str) -> Iterator[None]:
        """One looks up, others who ask for the same meanwhile wait for it."""
        with self._guard:
            lock, waiting = self._lookups.get(holder, (threading.Lock(), 0))
            self._lookups[holder] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._lookups.pop(holder)
                if waiting > 1:
                    self._lookups[holder] = (lock, waiting - 1)


class AsyncTransport:
    """The same for the asynchronous client."""

    def __init__(self, inner: httpx.AsyncClient, router: Router) -> None:
        self._inner = inner
        self._router = router
        self._guard = threading.Lock()
        # By thread too: a lock belongs to the loop in which it is waited for.
        self._lookups: dict[tuple[int, str], tuple[anyio.Lock, int]] = {}

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """The given client is its owner's, and stays open."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = self._router.find_path(request)
        if path is None:
            return await self._send(request)
        if self._router.needs_body(request, path):
            await request.aread()
        call = Call(self._router, request, path)
        ready = call.to_request(None if call.holder is None else await self._find(call, call.holder))
        if call.changed is None:
            return await self._send(ready)
        try:
            return await self._send(ready)
        finally:
            self._router.remembered.forget(call.changed)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.send(request, stream=True, follow_redirects=False)

    async def _find(self, call: Call, holder: str) -> Held | None:
        held, _ = self._router.remembered.find(holder)
        if held is not None:
            return held
        async with self._alone(holder):
            held, ticket = self._router.remembered.find(holder)
            if held is not None:
                return held
            held = read_held(await self._inner.send(call.to_lookup(holder), follow_redirects=False))
            if held is not None:
                self._router.remembered.keep(holder, held, ticket)
            return held

    @asynccontextmanager
    async def _alone(self, holder: str) -> AsyncIterator[None]:
        key = (threading.get_ident(), holder)
        with self._guard:
            lock, waiting = self._lookups.get(key, (anyio.Lock(), 0))
            self._lookups[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._lookups.pop(key)
                if waiting > 1:
                    self._lookups[key] = (lock, waiting - 1)
