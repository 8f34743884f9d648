"""The embedding model that a file was uploaded for, which OpenAI's files do not have."""

from __future__ import annotations

from openai.types import FileObject


def read_embedding_model(file: FileObject) -> str | None:
    """The model of vector stores that this file is the first of: what the header `embedding-model` of its upload named, or None."""
    named = (file.model_extra or {}).get("embedding_model")
    return named if isinstance(named, str) else None
