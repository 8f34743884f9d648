"""An assistant in LangChain, which kept its client of the Assistants API: OpenAIAssistantRunnable, in langchain-classic.

    npm start                                                        (in another terminal)
    pip install langchain-classic==1.0.8 openai==3.57.0
    OPENAI_BASE_URL=http://127.0.0.1:8700/v1 python examples/langchain/assistant.py

Nothing in it is understudy's: the variable OPENAI_BASE_URL, which OpenAI's client reads, is all that changes. The built-in
rehearsal model answers; with OPENAI_MODEL the model of that name.
"""

import os
from pathlib import Path

import openai
from langchain_classic.agents import AgentExecutor
from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable
from langchain_core.tools import tool

MODEL = os.environ.get("OPENAI_MODEL", "understudy/rehearsal")
HANDBOOK = Path(__file__).parent.parent / "documents" / "ferry-handbook.pdf"
POLL_MS = 100


@tool
def tide_level(place: str) -> str:
    """The level of the water at a place, in metres."""
    return {"Ferry Point": "0.84 m, falling", "Old Quay": "1.10 m, falling"}.get(place, "unknown")


@tool
def ticket_price(passengers: int) -> float:
    """What the ferry costs for so many passengers, in euros."""
    return 3.5 * passengers


def call_functions(client: openai.OpenAI) -> None:
    """LangChain's executor calls the functions and sends their outputs, round by round."""
    tools = [tide_level, ticket_price]
    agent = OpenAIAssistantRunnable.create_assistant(
        name="Ferry office",
        instructions="You answer passengers of the ferry.",
        tools=tools,
        model=MODEL,
        client=client,
        as_agent=True,
        check_every_ms=POLL_MS,
    )
    executor = AgentExecutor(agent=agent, tools=tools, return_intermediate_steps=True)
    question = "What is the tide level at 'Ferry Point', and the ticket price for 4 passengers?"
    answer = executor.invoke({"content": question})
    for action, output in answer["intermediate_steps"]:
        print(f"({action.tool} {action.tool_input} -> {output})")
    print(f"assistant: {answer['output']}")
    # The conversation goes on in its thread.
    more = executor.invoke({"content": "Thank you!", "thread_id": answer["thread_id"]})
    print(f"assistant: {more['output']}")


def search_files(client: openai.OpenAI) -> None:
    """A file that is attached to the question, and what the answer cites of it."""
    assistant = OpenAIAssistantRunnable.create_assistant(
        name="Reader",
        instructions="Answer from the attached file, and cite it.",
        tools=[{"type": "file_search"}],
        model=MODEL,
        client=client,
        check_every_ms=POLL_MS,
    )
    file = client.files.create(file=HANDBOOK, purpose="assistants")
    attachment = {"file_id": file.id, "tools": [{"type": "file_search"}]}
    messages = assistant.invoke({"content": "What does fault code HX-218 mean?", "attachments": [attachment]})
    for content in (content for message in messages for content in message.content):
        print(f"assistant: {content.text.value}")
        for annotation in content.text.annotations:
            name = client.files.retrieve(annotation.file_citation.file_id).filename
            print(f"  {annotation.text} is {name}")


if __name__ == "__main__":
    openai_client = openai.OpenAI(api_key=os.environ.get("OPENAI_API_KEY", "understudy"))
    call_functions(openai_client)
    search_files(openai_client)
