"""An assistant in LlamaIndex: OpenAIAssistantAgent, whose last release is 0.4.12 of llama-index-agent-openai.

    npm start                                                        (in another terminal)
    pip install llama-index-agent-openai==0.4.12 openai==1.109.1
    OPENAI_BASE_URL=http://127.0.0.1:8700/v1 python examples/llamaindex/assistant.py

Nothing in it is understudy's: the variable OPENAI_BASE_URL, which OpenAI's client reads, is all that changes. The built-in
rehearsal model answers; with OPENAI_MODEL the model of that name.
"""

import os
from pathlib import Path

from llama_index.agent.openai import OpenAIAssistantAgent
from llama_index.core.tools import FunctionTool

MODEL = os.environ.get("OPENAI_MODEL", "understudy/rehearsal")
API_KEY = os.environ.get("OPENAI_API_KEY", "understudy")
HANDBOOK = Path(__file__).parent.parent / "documents" / "ferry-handbook.pdf"


def tide_level(place: str) -> str:
    """The level of the water at a place, in metres."""
    return {"Ferry Point": "0.84 m, falling", "Old Quay": "1.10 m, falling"}.get(place, "unknown")


def ticket_price(passengers: int) -> float:
    """What the ferry costs for so many passengers, in euros."""
    return 3.5 * passengers


def call_functions() -> None:
    """The agent calls the functions and sends their outputs, round by round."""
    agent = OpenAIAssistantAgent.from_new(
        name="Ferry office",
        instructions="You answer passengers of the ferry.",
        tools=[FunctionTool.from_defaults(tide_level), FunctionTool.from_defaults(ticket_price)],
        model=MODEL,
        api_key=API_KEY,
    )
    answer = agent.chat("What is the tide level at 'Ferry Point', and the ticket price for 4 passengers?")
    for source in answer.sources:
        print(f"({source.tool_name} {source.raw_input['kwargs']} -> {source.content})")
    print(f"assistant: {answer}")
    # The conversation goes on in its thread.
    print(f"assistant: {agent.chat('Thank you!')}")
    print(f"({len(agent.chat_history)} messages are kept)")


def search_files() -> None:
    """A file that is attached to the question, and what the answer cites of it."""
    agent = OpenAIAssistantAgent.from_new(
        name="Reader",
        instructions="Answer from the attached file, and cite it.",
        openai_tools=[{"type": "file_search"}],
        model=MODEL,
        api_key=API_KEY,
        files=[str(HANDBOOK)],
    )
    agent.add_message("What does fault code HX-218 mean?", file_ids=list(agent.files_dict))
    agent.run_assistant()
    answer = agent.latest_message
    print(f"assistant: {answer.content}")
    for content in answer.additional_kwargs["thread_message"].content:
        for annotation in content.text.annotations:
            name = agent.client.files.retrieve(annotation.file_citation.file_id).filename
            print(f"  {annotation.text} is {name}")


if __name__ == "__main__":
    call_functions()
    search_files()
