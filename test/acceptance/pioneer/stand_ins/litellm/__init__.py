"""Stands in for litellm, 100 MB with what it needs, of which astra-assistants calls these functions only."""

from litellm import utils
from litellm.utils import get_llm_provider

__all__ = ["get_llm_provider", "utils"]
