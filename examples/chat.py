"""A chat in the terminal that remembers: the conversation is on the server, its id in a small file.

    pip install openai
    npm start                             (in another terminal)
    python examples/chat.py               goes on where it was left, also after a restart of program or server
    python examples/chat.py FILE          keeps the ids in FILE; ~/.understudy-chat.json unless given

Ctrl-C stops the answer that is being written, and between answers the program. Lines may come from a pipe as well.
UNDERSTUDY_URL is the server (default http://127.0.0.1:8700), OPENAI_MODEL the model that answers (default: the rehearsal model).
"""

import json
import os
import sys
import warnings
from pathlib import Path

from openai import AssistantEventHandler, NotFoundError, OpenAI, OpenAIError

# The client warns at each call that OpenAI gives up this API: here it lives on.
warnings.filterwarnings("ignore", category=DeprecationWarning)

HELP = "/new begins another conversation, /history prints this one, /quit ends the program."
ACTIVE = ("queued", "in_progress", "cancelling")

model = os.environ.get("OPENAI_MODEL", "understudy/rehearsal")
state_file = Path(sys.argv[1] if len(sys.argv) > 1 else Path.home() / ".understudy-chat.json")
client = OpenAI(
    base_url=os.environ.get("UNDERSTUDY_URL", "http://127.0.0.1:8700") + "/v1",
    api_key="understudy",
)
threads = client.beta.threads


class Printer(AssistantEventHandler):
    """Prints the answer while it is made."""

    def on_text_delta(self, delta, snapshot):
        print(delta.value or "", end="", flush=True)


def keep_or_make(identifier, keep, make):
    """The thing that the file names; a new one where the server does not have it (any more)."""
    try:
        return keep(identifier) if identifier else make()
    except NotFoundError:
        return make()


def find_active_run(thread_id):
    run = next(iter(threads.runs.list(thread_id, limit=1)), None)
    return run if run and run.status in ACTIVE else None


def answer(thread_id, assistant_id, content):
    # An answer that this program did not wait for, because it was killed, may still be under way: a thread has one run at a time.
    if active := find_active_run(thread_id):
        threads.runs.poll(active.id, thread_id=thread_id)
    threads.messages.create(thread_id, role="user", content=content)
    try:
        with threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, model=model, event_handler=Printer()
        ) as stream:
            stream.until_done()
            run = stream.current_run
    except KeyboardInterrupt:
        # What has been said stays in the conversation.
        if active := find_active_run(thread_id):
            threads.runs.cancel(active.id, thread_id=thread_id)
            run = threads.runs.poll(active.id, thread_id=thread_id)
            print(f" ({run.status})")
        return
    if run.status == "failed":
        print(f"(no answer: {run.last_error.message})")
    else:
        print("" if run.status == "completed" else f" ({run.status})")


def print_history(thread_id):
    for message in threads.messages.list(thread_id, order="asc", limit=100):
        text = "".join(part.text.value if part.type == "text" else f"[{part.type}]" for part in message.content)
        print(f"{message.role}: {text}")


def read_lines():
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            yield input(prompt).strip()
        except (EOFError, KeyboardInterrupt):
            return


def chat():
    state = json.loads(state_file.read_text()) if state_file.exists() else {}
    assistant = keep_or_make(
        state.get("assistant_id"),
        client.beta.assistants.retrieve,
        lambda: client.beta.assistants.create(model=model, name="Chat", instructions="Be friendly and brief."),
    )
    thread = keep_or_make(state.get("thread_id"), threads.retrieve, threads.create)
    is_kept = thread.id == state.get("thread_id")

    def save():
        state_file.write_text(json.dumps({"assistant_id": assistant.id, "thread_id": thread.id}))

    save()
    print(f"{'We go on with' if is_kept else 'A new conversation:'} {thread.id}. {HELP}", flush=True)
    for line in read_lines():
        try:
            if line == "/quit":
                break
            elif line == "/history":
                print_history(thread.id)
            elif line == "/new":
                thread = threads.create()
                save()
                print(f"A new conversation: {thread.id}.")
            elif line.startswith("/"):
                print(HELP)
            elif line:
                answer(thread.id, assistant.id, line)
        except OpenAIError as error:
            # The server is away: the conversation goes on with the next line.
            print(f"(no answer: {error})")
        sys.stdout.flush()


chat()
