"""What an agent is asked, and how it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.chatflows.steps.tool import Tool
from service.chatflows.types import Decision, Passage, ToolUse, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

DEFAULT_ROUNDS = 15
MAX_ROUNDS = 50

STOPPED = "I stopped after {rounds} rounds of tool calls without reaching an answer."
"""What the user reads when an agent has used up its rounds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far an agent may go."""

    rounds: int = DEFAULT_ROUNDS
    """Calls of the model; the last of them may still use tools, but nobody reads what they answer."""
    calls: int = 16
    """Calls of tools in one round; the model is told that the others were left out."""
    output: int = 20_000
    """Characters of a tool's answer that the model reads."""
    seconds: float = 300.0
    """How long one call of a tool may take."""


def limits(rounds: int | None = None) -> Limits:
    """The limits of a node that says how many rounds there may be at most; None: it does not say. Never more than
    `MAX_ROUNDS`, never less than one."""
    return Limits(DEFAULT_ROUNDS if rounds is None else max(1, min(rounds, MAX_ROUNDS)))


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool as the model wrote it."""

    id: str
    name: str
    input: Mapping[str, Any]
    broken: str = ""
    """Why the input could not be read; the input is empty then."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An agent waits for a person: a tool that `requires_human` was called. None of the `calls` was made yet."""

    calls: tuple[Call, ...]
    state: Mapping[str, Any]
    """JSON that `Job.resumed` takes back. It holds the conversation: keep it as safe as messages."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A person has answered: the calls that waited are made, or the model is told that they were refused."""

    state: Mapping[str, Any]
    decision: Decision
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What an agent is to do."""

    chat: "BaseChatModel"
    messages: "Sequence[BaseMessage]"
    """System message, if any, then the conversation; the last one is what the user wants."""
    tools: Sequence[Tool] = ()
    limits: Limits = field(default_factory=Limits)
    resumed: Resumed | None = None
    """Goes on from where an agent with the same tools waited; `messages` do not count then."""
    binding: Mapping[str, Any] = field(default_factory=dict)
    """What the model's `bind_tools` takes besides the tools (`strict`, `tool_choice`, ...)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a job: the last thing that a loop says; no event for users."""

    text: str
    """Everything that was said, as the `Token`s of the run say it."""
    answer: str
    """Only what was said last, after the last call of a tool."""
    messages: "tuple[BaseMessage, ...]" = ()
    """The messages that followed `Job.messages`: calls of tools, their answers, the answer."""
    uses: tuple[ToolUse, ...] = ()
    sources: tuple[Passage, ...] = ()
    """In the order of the numbers that the answer cites."""
    artifacts: tuple[Mapping[str, Any], ...] = ()
    usage: tuple[Usage, ...] = ()
    exhausted: bool = False
    """Whether the rounds were used up; the text says so."""
    waits: Waiting | None = None
