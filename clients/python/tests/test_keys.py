"""Which keys leave the client, and which reach a provider."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from conftest import ENV, KEYS, Sent, find_keys, read_records

CALLS = 100
MESSAGES = [{"role": "user", "content": "Hello"}]
PROVIDERS = list(KEYS)


def check(sent: Sent, owners: dict[str, str], before: int) -> None:
    for method, path, headers, body in sent.calls:
        named = next((p for p in PROVIDERS if str(body.get("model", "")).startswith(f"{p}/")), None)
        owner = None if method != "POST" or path == "/assistants" else named or owners.get(body.get("assistant_id", ""))
        assert (path, find_keys(headers)) == (path, [] if owner is None else [owner])
    reached = read_records()[before:]
    assert len(reached) == CALLS
    for record in reached:
        owner = record["path"].split("/")[1]
        assert find_keys(record["headers"]) == [owner]
        assert record["headers"]["authorization"] == f"Bearer {KEYS[owner]}"
    assert {record["path"].split("/")[1] for record in reached} == set(PROVIDERS)
    lookups = [path for method, path, _, _ in sent.calls if method == "GET" and path.startswith("/assistants/")]
    assert sorted(lookups) == sorted(f"/assistants/{id}" for id in owners)


def test_100_calls_in_threads_carry_no_key_of_another(sent: Sent) -> None:
    client = sent.connect()
    made = [client.beta.assistants.create(model=f"{provider}/any-model") for provider in PROVIDERS]
    owners = {assistant.id: provider for assistant, provider in zip(made, PROVIDERS)}
    before = len(read_records())

    def call(at: int) -> None:
        model = f"{PROVIDERS[at % 6]}/any-model"
        assistant, other = made[at % 6].id, made[(at + 1) % 6].id
        kind = at // 6 % 5
        if kind == 0:
            client.chat.completions.create(model=model, messages=MESSAGES)
            return
        if kind == 1:
            client.embeddings.create(model=model, input="Hello")
            return
        if kind == 2:
            run = client.beta.threads.create_and_run_poll(assistant_id=assistant, thread={"messages": MESSAGES}, poll_interval_ms=50)
        else:
            thread = client.beta.threads.create(messages=MESSAGES)
            # The run's own model comes before the assistant's, which is another provider's here.
            given = {"assistant_id": assistant} if kind == 3 else {"assistant_id": other, "model": model}
            run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, poll_interval_ms=50, **given)
        assert run.status == "completed", run.last_error

    with ThreadPoolExecutor(CALLS) as pool:
        list(pool.map(call, range(CALLS)))
    check(sent, owners, before)


def test_100_calls_in_tasks_carry_no_key_of_another(sent: Sent) -> None:
    async def call_all() -> tuple[dict[str, str], int]:
        client = sent.aconnect()
        made = [await client.beta.assistants.create(model=f"{provider}/any-model") for provider in PROVIDERS]
        before = len(read_records())

        async def call(at: int) -> None:
            model = f"{PROVIDERS[at % 6]}/any-model"
            kind = at // 6 % 3
            if kind == 0:
                await client.chat.completions.create(model=model, messages=MESSAGES)
            elif kind == 1:
                await client.embeddings.create(model=model, input="Hello")
            else:
                async with client.beta.threads.create_and_run_stream(
                    assistant_id=made[at % 6].id, thread={"messages": MESSAGES}
                ) as stream:
                    await stream.until_done()
                    assert stream.current_run.status == "completed"

        await asyncio.gather(*(call(at) for at in range(CALLS)))
        return {assistant.id: provider for assistant, provider in zip(made, PROVIDERS)}, before

    owners, before = asyncio.run(call_all())
    check(sent, owners, before)


def test_outputs_of_tools_go_with_the_key_of_the_runs_model(sent: Sent) -> None:
    client = sent.connect()
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    assistant = client.beta.assistants.create(model="groq/any-model", tools=tools)
    thread = client.beta.threads.create(messages=MESSAGES)
    runs = client.beta.threads.runs
    run = runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, model="xai/script:python-tools", poll_interval_ms=50)
    assert run.status == "requires_action", run.last_error
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    run = runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": call.id, "output": "sunny"}], poll_interval_ms=50
    )
    assert run.status == "completed", run.last_error
    assert [find_keys(headers) for headers in sent.to("/submit_tool_outputs")] == [["xai"]]


def test_an_assistant_with_another_model_is_asked_about_anew(sent: Sent) -> None:
    client = sent.connect()
    assistant = client.beta.assistants.create(model="groq/any-model")
    thread = client.beta.threads.create(messages=MESSAGES)
    for model in ("groq/any-model", "deepseek/any-model"):
        client.beta.assistants.update(assistant.id, model=model)
        for _ in range(2):
            run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=50)
            assert run.status == "completed", run.last_error
    assert [find_keys(headers) for headers in sent.to("/runs")] == [["groq"]] * 2 + [["deepseek"]] * 2
    assert len(sent.to(f"/assistants/{assistant.id}", "GET")) == 2


def test_openais_key_is_the_bearer_of_openais_models_only(sent: Sent) -> None:
    client = sent.connect()
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    client.chat.completions.create(model="groq/any-model", messages=MESSAGES)
    client.beta.threads.create()
    client.models.list()
    bearers = [headers["authorization"] for _, _, headers, _ in sent.calls]
    assert bearers == [f"Bearer {KEYS['openai']}"] + ["Bearer understudy"] * 3


def test_the_servers_own_key_is_the_bearer_of_all_calls(sent: Sent) -> None:
    client = sent.connect({**ENV, "UNDERSTUDY_API_KEY": "sk-understudy-mine"})
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    client.chat.completions.create(model="groq/any-model", messages=MESSAGES)
    assert [headers["authorization"] for _, _, headers, _ in sent.calls] == ["Bearer sk-understudy-mine"] * 2
    assert [find_keys(headers) for _, _, headers, _ in sent.calls] == [["openai"], ["groq"]]


def test_files_and_stores_go_with_the_embedding_models_key(sent: Sent) -> None:
    client = sent.connect(embedding_model="together_ai/any-embedding")
    client.files.create(file=("notes.txt", b"Ferries sail at nine."), purpose="assistants")
    client.vector_stores.create(name="Notes")
    client.beta.threads.create()
    named = [(headers.get("embedding-model"), find_keys(headers)) for _, _, headers, _ in sent.calls]
    assert named == [("together_ai/any-embedding", ["together_ai"])] * 2 + [(None, [])]


def test_astras_token_goes_with_every_call(sent: Sent) -> None:
    client = sent.connect({**ENV, "ASTRA_DB_APPLICATION_TOKEN": "AstraCS:token", "ASTRA_DB_ID": "an-id"})
    client.models.list()
    client.beta.threads.create()
    assert [(headers["astra-api-token"], headers["astra-db-id"]) for _, _, headers, _ in sent.calls] == [
        ("AstraCS:token", "an-id")
    ] * 2
