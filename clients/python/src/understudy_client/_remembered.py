"""A bounded memory of what was looked up, safe under threads."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Callable

ENTRIES_MAX = 1000
# Other programs change assistants too.
KEPT_SECONDS = 300.0


@dataclass(frozen=True)
class Held:
    model: str | None
    tools: object


class Remembered:
    def __init__(self, entries_max: int = ENTRIES_MAX, now: Callable[[], float] = time.monotonic) -> None:
        self._entries: OrderedDict[str, tuple[Held, float]] = OrderedDict()
        self._entries_max = entries_max
        self._now = now
        self._lock = threading.Lock()
        self._changes = 0

    def find(self, key: str) -> tuple[Held | None, int]:
        """What is remembered, and a ticket: the count of changes so far, for `keep`."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None and self._now() < found[1]:
                self._entries.move_to_end(key)
                return found[0], self._changes
            return None, self._changes

    def keep(self, key: str, held: Held, ticket: int) -> None:
        """Unless something was forgotten since the ticket: what was looked up may be from before the change."""
        with self._lock:
            if ticket != self._changes:
                return
            self._entries[key] = (held, self._now() + KEPT_SECONDS)
            self._entries.move_to_end(key)
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)

    def forget(self, key: str) -> None:
        with self._lock:
            self._changes += 1
            self._entries.pop(key, None)
