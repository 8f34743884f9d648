"""The official OpenAI client, with each model's own keys, for programs that call an understudy server."""

from ._files import read_embedding_model
from ._messages import edit_message
from ._patch import patch
from ._threads import list_threads

__all__ = ["edit_message", "list_threads", "patch", "read_embedding_model"]
