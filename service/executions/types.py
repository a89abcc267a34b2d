"""What is kept of an agentflow's run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from service.chatflows.types import RunStatus
from service.errors import Conflict, NotFound, Unprocessable
from stores.records.database import Scope

Node = Mapping[str, Any]
"""A node that ran, as answers show it: `nodeId`, `nodeLabel`, `data`, `previousNodeIds`, `status`."""

Once = Callable[[Scope], Awaitable[None]]
"""Done in the transaction that takes an answer; raises what speaks against it, and then nothing has happened."""


class NothingWaits(NotFound):
    """No run of this session waits for an answer."""

    code = "nothing_waits"


class AlreadyAnswered(Conflict):
    """Somebody has answered this already."""

    code = "already_answered"


class AnotherNodeWaits(Unprocessable):
    """The run waits at another node."""

    code = "another_node_waits"


class SeveralWait(Conflict):
    """Several runs of this session wait for an answer."""

    code = "several_wait"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose run it is: what of a session's runs may be seen and answered by whom."""

    chatflow: UUID
    caller: str
    session: str
    chat: str
    type: str
    """How it came in (contract 6.5, `chatType`)."""
    parent: UUID | None = None
    """The run whose node or tool called the flow."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The right of one attempt to write an execution: a later attempt takes it away."""

    id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waited, and is held by the answer that has opened it."""

    hold: Hold
    node: str
    pause: Mapping[str, Any]
    """What `Outcome.pause` was."""
    context: Mapping[str, Any]
    action: Mapping[str, Any]
    usage: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, or at what it stopped."""

    state: RunStatus
    nodes: Sequence[Node] | None = None
    """None: as they were last written."""
    action: Mapping[str, Any] | None = None
    waits_at: str | None = None
    """The node that waits for a person."""
    pause: Mapping[str, Any] | None = None
    """What it goes on from then: `executed`, `state`, `progress`."""
    usage: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """A stored run. A run whose process died shows as ERROR as soon as its lease is over."""

    id: UUID
    workspace: UUID
    chatflow: UUID
    session: str
    state: RunStatus
    nodes: Sequence[Node]
    action: Mapping[str, Any] | None
    usage: Mapping[str, Any] | None
    error: str | None
    is_public: bool | None
    parent: UUID | None
    created_at: datetime
    updated_at: datetime
    stopped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which executions of a workspace. None leaves none out."""

    id: UUID | None = None
    chatflow: UUID | None = None
    chatflow_name: str | None = None
    """A part of it, in whatever case."""
    session: str | None = None
    state: RunStatus | None = None
    start: datetime | None = None
    end: datetime | None = None
    everything: bool = True
    """Those too that were made for somebody with principals, and may rest on what not everybody may find."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says to a run that waits: in the words of `humanInput`, or to the action of this id."""

    proceed: bool
    node: str = ""
    """Empty: wherever it waits, where one run does."""
    feedback: str = ""
    action: str = ""
    """Id of the action that is answered; empty: whatever waits."""
    callers: frozenset[str] = field(default_factory=frozenset)
    """Under whose names the run may have been begun besides the one who answers."""
