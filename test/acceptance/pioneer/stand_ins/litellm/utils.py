"""As the library does it: the provider is what stands before the slash, and its key is in the environment."""

import os


def get_llm_provider(model):
    provider, slash, name = model.partition("/")
    return (name, provider, None, None) if slash else (model, "openai", None, None)


def get_api_key(llm_provider, dynamic_api_key):
    return dynamic_api_key or os.environ.get(f"{llm_provider.upper()}_API_KEY")
