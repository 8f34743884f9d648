"""What `patch` answers, and what it leaves alone."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from conftest import ENV, KEYS, SERVER, Sent, find_keys
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from understudy_client import edit_message, list_threads, patch, read_embedding_model


def test_the_given_client_stays_as_it_is_and_open() -> None:
    client = OpenAI(api_key="sk-mine", base_url=f"{SERVER}/v1")
    before = (client._client, str(client.base_url), client.api_key)
    with patch(client, env=ENV) as patched:
        assert type(patched) is OpenAI
        patched.models.list()
    assert (client._client, str(client.base_url), client.api_key) == before
    client.models.list()


def test_the_base_url_is_the_arguments_then_the_environments_then_the_clients() -> None:
    client = OpenAI(api_key="sk-mine", base_url="http://own:1/v1")
    variables = {"UNDERSTUDY_BASE_URL": "http://first:1", "base_url": "http://second:1", "BASE_URL": "http://third:1/x/v1/"}
    found = [str(patch(client, base_url="http://given:1", env=variables).base_url)]
    for name in list(variables):
        found.append(str(patch(client, env=variables).base_url))
        del variables[name]
    found.append(str(patch(client, env={}).base_url))
    found.append(str(patch(OpenAI(api_key="sk", base_url="https://api.groq.com/openai/v1"), env={}).base_url))
    hosts = ["http://given:1/v1/", "http://first:1/v1/", "http://second:1/v1/", "http://third:1/x/v1/", "http://own:1/v1/"]
    assert found == [*hosts, "http://127.0.0.1:8700/v1/"]
    with pytest.raises(ValueError, match="must be a URL"):
        patch(client, base_url="nowhere", env={})


def test_clients_for_azure_are_refused() -> None:
    azure = AzureOpenAI(api_key="k", api_version="2024-06-01", azure_endpoint="https://mine.openai.azure.com")
    with pytest.raises(TypeError):
        patch(azure, env=ENV)


def test_nothing_goes_to_another_address_of_a_copy(sent: Sent) -> None:
    copy = sent.connect().with_options(base_url=SERVER + "/elsewhere/v1")
    with pytest.raises(Exception, match="404"):
        copy.chat.completions.create(model="groq/any-model", messages=[{"role": "user", "content": "Hello"}])
    # The copy's own key alone, as an official client sends it.
    assert [find_keys(headers) for _, _, headers, _ in sent.calls] == [["openai"]]


def test_headers_that_a_caller_sets_himself_stay(sent: Sent) -> None:
    sent.connect().with_options(max_retries=0).chat.completions.create(
        model="groq/any-model", messages=[{"role": "user", "content": "Hello"}], extra_headers={"api-key": "mine"}
    )
    [headers] = [headers for _, _, headers, _ in sent.calls]
    assert headers["api-key"] == "mine"
    assert find_keys(headers) == []


def test_threads_are_listed_page_by_page() -> None:
    user = str(uuid.uuid4())
    client = patch(OpenAI(api_key=KEYS["openai"]), base_url=SERVER, env=ENV)
    made = [client.beta.threads.create(metadata={"user": user}).id for _ in range(5)]
    listed = list_threads(client, limit=2, order="asc", metadata={"user": user})
    assert [thread.id for thread in listed] == made

    async def list_all() -> list[str]:
        client = patch(AsyncOpenAI(api_key=KEYS["openai"]), base_url=SERVER, env=ENV)
        return [thread.id async for thread in list_threads(client, limit=2, metadata={"user": user})]

    assert asyncio.run(list_all()) == made[::-1]


def test_the_content_of_a_message_is_changed() -> None:
    client = patch(OpenAI(api_key=KEYS["openai"]), base_url=SERVER, env=ENV)
    thread = client.beta.threads.create()
    message = client.beta.threads.messages.create(thread.id, role="user", content="puppies", metadata={"a": "b"})
    edited = edit_message(client, message.id, thread_id=thread.id, content="kittens")
    assert (edited.id, edited.metadata, edited.content[0].text.value) == (message.id, {"a": "b"}, "kittens")

    async def edit() -> object:
        client = patch(AsyncOpenAI(api_key=KEYS["openai"]), base_url=SERVER, env=ENV)
        parts = [{"type": "text", "text": "lions"}]
        edited = await edit_message(client, message.id, thread_id=thread.id, content=parts, metadata={"c": "d"})
        return edited.metadata, edited.content[0].text.value

    assert asyncio.run(edit()) == ({"c": "d"}, "lions")


def test_a_file_tells_the_embedding_model_that_it_was_uploaded_for() -> None:
    for model in ("together_ai/any-embedding", None):
        client = patch(OpenAI(api_key=KEYS["openai"]), base_url=SERVER, env=ENV, embedding_model=model)
        file = client.files.create(file=("notes.txt", b"Ferries sail at nine."), purpose="assistants")
        assert read_embedding_model(client.files.retrieve(file.id)) == read_embedding_model(file) == model
