"""What a run has produced, gathered from its events, and which of them are said when: the order of the contract (1.3),
whatever the order in which steps say them."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    FlowStatus,
    NodesExecuted,
    Passage,
    RunStatus,
    Sources,
    StepEvent,
    Structured,
    Thinking,
    Token,
    ToolsUsed,
    ToolUse,
    Usage,
)
from service.errors import ServiceError
from service.predictions.events import Said
from service.predictions.text import clean, json_of

log = logging.getLogger("ragstone.predictions")

MAX_ANSWER = 1_000_000
"""Characters after which a model is stopped: it will not end by itself."""


class EndlessAnswer(ServiceError):
    """The model's answer does not end."""

    status, code = 502, "endless_answer"


@dataclass(slots=True)
class Written:
    """What a run has produced. `holds`: no text is said while it is written, as it will be worked on at the end."""

    holds: bool = False
    texts: list[str] = field(default_factory=list)
    length: int = 0
    thoughts: list[str] = field(default_factory=list)
    thought_seconds: float | None = None
    sources: list[Passage] | None = None
    usage: list[Usage] = field(default_factory=list)
    structured: Structured | None = None
    tools: list[ToolUse] | None = None
    artifacts: list[Mapping[str, Any]] | None = None
    wanted: ActionWanted | None = None
    """What the run waits for."""
    nodes: NodesExecuted | None = None
    execution: UUID | None = None
    """The stored execution of an agentflow."""
    _said: list[Said] = field(default_factory=list, init=False)

    @property
    def action(self) -> Mapping[str, Any] | None:
        """What a person is asked; None unless the run waits for one."""
        return None if self.wanted is None else self.wanted.action

    @property
    def answer(self) -> str:
        """The answer's text; of a structured one its JSON."""
        if self.structured is not None:
            return clean(json_of(self.structured.value, compact=False))
        return "".join(self.texts)

    def take(self, event: StepEvent) -> Iterable[Said]:
        """Note an event; what of it is said now. Sources, tools and the like follow behind the text, each once (see
        `rest`). Raises `EndlessAnswer`."""
        match event:
            case Token():
                return self._token(event)
            case Usage():
                self.usage.append(event)
            case Thinking():
                return self._thought(event)
            case Structured():
                return self._structure(event)
            case Sources():
                self.sources = _merged(self.sources, event.passages)
            case ToolsUsed():
                self.tools = [*(self.tools or ()), *(use for use in event.uses if use not in (self.tools or ()))]
                if any(use.sources for use in event.uses):
                    self.sources = _merged(self.sources, [item for use in event.uses for item in use.sources])
            case Artifacts():
                known = self.artifacts or []
                self.artifacts = [*known, *(item for item in event.items if item not in known)]
            case ActionWanted():
                self.wanted = event
            case NodesExecuted():
                self.nodes = event
                return (event,)
            case FlowStatus() if event.status is not RunStatus.INPROGRESS:
                return (*self.rest(), event)
            case _:
                return (event,)
        return ()

    def rest(self) -> Iterable[Said]:
        """What stands behind the text, in the contract's order; what was said once is not said again."""
        rest: list[Said] = []
        if self.sources is not None:
            rest.append(Sources(tuple(self.sources)))
        if self.tools is not None:
            rest.append(ToolsUsed(tuple(self.tools)))
        if self.artifacts is not None:
            rest.append(Artifacts(tuple(self.artifacts)))
        if self.wanted is not None:
            rest.append(self.wanted)
        said, self._said = self._said, rest
        return [event for event in rest if event not in said]

    def replace(self, text: str) -> Iterable[Said]:
        """Another text takes the answer's place, now that it is known; it is said. Only while text is held back."""
        self.texts, self.structured = ([text] if text else []), None
        return (Token(text),) if text else ()

    def withhold(self) -> None:
        """Forget text that was held back and never worked on."""
        if self.holds:
            self.texts, self.structured = [], None

    def _token(self, event: Token) -> Iterable[Said]:
        text = clean(event.text)
        self._count(text)
        if not text:
            return ()
        if self.structured is not None:
            log.warning("A flow wrote text behind its structured answer")
            return ()
        self.texts.append(text)
        return () if self.holds else (event if text is event.text else Token(text),)

    def _thought(self, event: Thinking) -> Iterable[Said]:
        text = clean(event.text)
        self._count(text)
        self.thoughts.append(text)
        if event.seconds is not None:
            self.thought_seconds = event.seconds
        return (Thinking(text, event.seconds),)

    def _structure(self, event: Structured) -> Iterable[Said]:
        if self.texts or self.structured is not None:
            # half of a stream has been read by now: the answer stays what it is
            log.warning("A flow gave a structured answer behind another")
            return ()
        self.structured = event
        self._count(self.answer)
        return () if self.holds else (event,)

    def _count(self, text: str) -> None:
        self.length += len(text)
        if self.length > MAX_ANSWER:
            raise EndlessAnswer


def _merged(known: Iterable[Passage] | None, more: Iterable[Passage]) -> list[Passage]:
    """The first list as it came, as markers in the answer count it from 1, and what further ones add to it."""
    if known is None:
        return list(more)
    found = list(known)
    for passage in more:
        if all((passage.id or passage.text) != (other.id or other.text) for other in found):
            found.append(passage)
    return found
