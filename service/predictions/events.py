"""What a prediction says, whatever surface writes it: the flow's own events, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    FlowStatus,
    NodesExecuted,
    NodeStatus,
    Sources,
    Structured,
    Thinking,
    Token,
    ToolCalls,
    ToolsUsed,
)
from service.errors import ServiceError
from service.predictions.usage import Spent as Spent


@dataclass(frozen=True, slots=True)
class Metadata:
    """The answer is complete, and stored under `message` unless its flow keeps nothing."""

    chat: str
    message: str
    question: str
    session: str
    memory: str | None
    """Label of the memory node."""
    usage: Spent | None = None
    follow_ups: tuple[str, ...] | None = None
    """Questions that the caller may like to ask next; None: the flow proposes none."""
    action: Mapping[str, Any] | None = None
    """What the run waits for."""
    execution: str | None = None
    """Id of the stored execution of an agentflow."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The run failed."""

    error: ServiceError


@dataclass(frozen=True, slots=True)
class Abort:
    """A caller stopped the run; what was written until then is stored."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing follows."""


Said = (
    Token
    | Sources
    | Thinking
    | Structured
    | ToolCalls
    | ToolsUsed
    | Artifacts
    | FlowStatus
    | NodeStatus
    | NodesExecuted
    | ActionWanted
)
"""What of a flow's own events callers may see: all but what its models took."""

FRAMES = 3
"""Most frames of one event in a stream: `start`, an empty token, its own."""

Event = Said | Metadata | Failure | Abort | End
