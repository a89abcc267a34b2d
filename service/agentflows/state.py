"""What a node sees of the run it is part of: one moment of it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.agentflows.templates import Found, of_node, within
from service.agentflows.types import Message, Part
from service.chatflows.run import Run
from service.chatflows.types import HumanInput, Role, StepEvent, Turn

NO_ITEM = object()
"""There is no iteration around the node."""

_SCOPES = ("$flow", "$vars", "$form", "$webhook", "$iteration")
_PARTS = {Part.USER: "Human", Part.ASSISTANT: "Assistant"}


@dataclass(frozen=True, slots=True)
class Output:
    """What a node left when it ran last. `foreign` as in `Found`."""

    text: str
    data: Mapping[str, Any]
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """What an iteration has made of its items, in their order; the last thing that `Moment.each` says."""

    texts: tuple[str, ...]
    failures: int


Each = Callable[[Sequence[Any]], AsyncGenerator[StepEvent | Items, None]]
"""Runs the inside of an iteration once per item."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a node sees. The collections are the node's own: nothing that runs beside it changes them."""

    run: Run
    node: str
    answers: bool
    """Whether what it says is the run's answer."""
    question: str
    form: Mapping[str, Any] | None
    webhook: Mapping[str, Any] | None
    state: Mapping[str, Any]
    past: tuple[Message, ...]
    """The earlier turns of the session."""
    said: tuple[Message, ...]
    """The conversation of this run."""
    outputs: Mapping[str, Output]
    names: frozenset[str]
    """The ids of all nodes of the flow."""
    rounds: int = 0
    """How often the loop that ran last has led back."""
    item: Any = NO_ITEM
    index: int = 0
    human: HumanInput | None = None
    """A person's answer, when the node goes on from where it waited."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """What it kept when it waited."""
    each: Each | None = None

    @property
    def asked(self) -> str:
        """What the user says: the question, or the values of the form, or the call of the webhook."""
        if self.question.strip() or self.form is None:
            return self.question
        return "\n".join(f"{name}: {value}" for name, value in self.form.items())

    def find(self, name: str) -> Found | None:
        """What a variable stands for; nothing where its scope is known and the name in it is not."""
        scope = name.partition(".")[0]
        if scope.split("[")[0] in _SCOPES:
            return self._scoped(scope.split("[")[0], name[len(scope.split("[")[0]) :].removeprefix("."))
        if (simple := self._simple(name)) is not None:
            return simple
        if (named := of_node(name, self.names)) is None:
            return None
        node, inside = named
        output = self.outputs.get(node)
        if output is None:
            return Found("")
        return Found(output.text if inside is None else within(output.data, inside), output.foreign)

    def _simple(self, name: str) -> Found | None:
        match name:
            case "question":
                return Found(self.asked)
            case "chat_history":
                return Found(transcript((*self.past, *self.said)), "conversation")
            case "runtime_messages_length":
                return Found(max(0, len(self.said) - 1))
            case "loop_count":
                return Found(self.rounds)
            case "current_date_time":
                return Found(datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
            case "file_attachment":
                return Found("\n\n".join(item.text for item in self.run.documents), "document")
        return None

    def _scoped(self, scope: str, path: str) -> Found | None:
        match scope:
            case "$vars":
                return Found(self.run.variables.get(path, ""))
            case "$form":
                return Found(within(dict(self.form or {}), path))
            case "$webhook":
                return Found(within(dict(self.webhook or {}), path), "call of a webhook")
            case "$iteration":
                if self.item is NO_ITEM:
                    return Found("")
                # an item that is no object stands for each of its fields
                whole = not path or not isinstance(self.item, Mapping | list)
                return Found(self.item if whole else within(self.item, path))
        return self._flow(path)

    def _flow(self, path: str) -> Found | None:
        first, _, rest = path.partition(".")
        match first:
            case "state":
                return Found(within(self.state, rest) if rest else dict(self.state))
            case "sessionId":
                return Found(self.run.session)
            case "chatId":
                return Found(self.run.chat)
            case "chatflowId" | "chatflowid":
                return Found(str(self.run.chatflow or ""))
            case "input":
                return Found(self.asked)
            case "chatHistory":
                return Found([message.shown() for message in (*self.past, *self.said)], "conversation")
        return Found("")


def messages_of(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Earlier turns as messages."""
    parts = {Role.USER: Part.USER, Role.MODEL: Part.ASSISTANT}
    return tuple(Message(parts[turn.role], turn.text, turn=turn) for turn in turns)


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as text."""
    return "\n".join(f"{_PARTS.get(message.part, 'System')}: {message.text}" for message in messages)
