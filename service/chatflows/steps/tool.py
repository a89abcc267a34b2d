"""The port of tools: what an agent may call, whatever node offers it."""

import re
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from service.chatflows.run import Run
from service.chatflows.steps.base import Step
from service.chatflows.types import Passage
from service.errors import ServiceError

MAX_NAME = 64
"""Characters of a tool's name."""


class ToolFailed(Exception):
    """A tool could not do what it was asked. The message is told to the model, so that it can try something else; it
    holds nothing that the model's user may not read. `why` is for the flow's owner."""

    def __init__(self, told: str = "", why: str = "") -> None:
        """`told` is the message; `why` is the same, unless it is given."""
        super().__init__(told)
        self.why = why or told

    @classmethod
    def by(cls, error: ServiceError) -> "ToolFailed":
        """A tool failed by this error."""
        return cls(error.withheld(), error.message)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool answers: a text for the model, and what goes to the user as it stands."""

    text: str
    """A `[2]` in it means the second of the `sources`; the agent gives them numbers of its own."""
    sources: tuple[Passage, ...] = ()
    artifacts: tuple[Mapping[str, Any], ...] = ()
    quotes: bool = False
    """Whether the text is just that of the sources: the model then reads these, numbered, so that it can cite them."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model can call by its name."""

    name: str
    """Letters, digits, `_` and `-`, 64 characters at most: what providers accept."""
    description: str
    schema: Mapping[str, Any]
    """JSON Schema of the input, an object."""
    call: Callable[[Run, Mapping[str, Any]], Awaitable[Outcome]] = field(repr=False)
    """Does it. The input is what a model wrote: not yet checked. Raises `ToolFailed`; any `ServiceError` ends the
    run."""
    returns_direct: bool = False
    """Whether its text is the agent's answer."""
    requires_human: bool = False
    """Whether a person must agree before it is called."""


_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def tool_name(text: str, otherwise: str = "tool") -> str:
    """A text of people as the name of a tool."""
    return _NO_NAME.sub("_", text.strip()).strip("_")[:MAX_NAME] or otherwise


class ToolStep(Step):
    """A node that gives tools to agents; a toolkit gives several."""

    category = "Tools"
    base_classes: ClassVar[tuple[str, ...]] = ("Tool",)

    def offered(self) -> Sequence[Tool]:
        """The tools that are known before any run; none where only a run knows."""
        return ()

    @abstractmethod
    async def tools(self, run: Run) -> Sequence[Tool]:
        """The tools for a run. `prepare` has succeeded. Raises `ServiceError`."""
