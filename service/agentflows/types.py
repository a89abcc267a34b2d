"""What the nodes of an agentflow read and what they leave."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.chatflows.types import Turn
from service.errors import Unprocessable


class TooManySteps(Unprocessable):
    """The agentflow takes too many steps."""

    code = "too_many_steps"


class FlowTimeout(Unprocessable):
    """The agentflow takes too long."""

    code = "flow_timeout"


class NotWaiting(Unprocessable):
    """There is no run of this conversation that waits for a person."""

    code = "not_waiting"


class FormWanted(Unprocessable):
    """The agentflow begins with a form, and none of its fields was sent."""

    code = "form_wanted"


class BadValue(Unprocessable):
    """A value that a node of an agentflow works with cannot be used."""

    code = "bad_value"
    private = True


class Part(StrEnum):
    """Who says a message, by the names of the contract's nodes."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of what a model reads. `name`: which node said it."""

    part: Part
    text: str
    name: str = ""
    turn: Turn | None = None
    """The earlier turn that it was, with what came with it."""

    def shown(self) -> dict[str, Any]:
        """As `chatHistory` and the inputs of nodes show it."""
        told = {"role": self.part.value, "content": self.text}
        return {**told, "name": self.name} if self.name else told

    @classmethod
    def read(cls, shown: Mapping[str, Any]) -> "Message":
        """The counterpart of `shown`."""
        part = shown.get("role")
        known = Part(part) if part in set(Part) else Part.USER
        return cls(known, str(shown.get("content") or ""), str(shown.get("name") or ""))


@dataclass(frozen=True, slots=True)
class Done:
    """What a node leaves when it has ended. Everything but `opening` and `said` is JSON."""

    text: str = ""
    """What it says: the answer, if it is the last, and what `{{ nodeId }}` stands for."""
    output: Mapping[str, Any] = field(default_factory=dict)
    """What `{{ nodeId.output.path }}` finds."""
    input: Mapping[str, Any] = field(default_factory=dict)
    """What it worked with, as executions show it."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What becomes of the flow's state."""
    opening: tuple[Message, ...] = ()
    """What the user said: the conversation of the run begins with it, unless it has begun."""
    said: tuple[Message, ...] = ()
    """What the conversation goes on with."""
    branches: frozenset[int] | None = None
    """The outputs that are taken; None: all of them."""
    loop: int = 0
    """A loop leads back: what stands between it and its target may run so often in all."""
    forgets: bool = False
    """The run does not see the earlier turns of the session."""


@dataclass(frozen=True, slots=True)
class Waits:
    """A node waits for a person. `keep` is JSON that it gets back, with the answer, when it goes on."""

    text: str
    output: Mapping[str, Any] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)
    opening: tuple[Message, ...] = ()
    """As that of `Done`."""
    said: tuple[Message, ...] = ()
    keep: Mapping[str, Any] = field(default_factory=dict)
