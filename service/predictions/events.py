"""What a prediction says, whatever surface writes it: the flow's own events, and how it ended."""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Metadata:
    """The answer is complete and stored under `message`."""

    chat: str
    message: str
    question: str
    session: str
    memory: str | None
    """Label of the memory node."""


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

Event = Said | Metadata | Failure | Abort | End
