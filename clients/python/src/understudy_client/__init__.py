"""The official OpenAI client, with each model's own keys, for programs that call an understudy server."""

from ._patch import patch
from ._threads import list_threads

__all__ = ["list_threads", "patch"]
