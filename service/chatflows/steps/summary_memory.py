"""Memories that keep a summary of what was said long ago, and the last turns word by word.

A session's summary is kept in the memory of the process, with the turns that it ends with; where it is lost, the model
makes it anew from the turns that are stored (ADR 0042).
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Anchor, BadOption, Links, ModelStep
from service.chatflows.steps.buffer_memory import BufferMemory, BufferMemoryOptions
from service.chatflows.types import Role, Turn
from service.retrieval.base import Message
from service.untrusted import Fence

PER_TOKEN = 4
"""Characters that count as one token: what a model really counts is not known here."""

KEPT = 512
"""Sessions whose summaries a node remembers."""

AT_ONCE = 24_000
"""Characters of conversation that the model reads for one summary; longer ones are summed up part by part."""

LONGEST = 6_000
"""Characters of a summary."""

SUM_UP = """Sum up a conversation between a user and an assistant, for the assistant to remember. Keep names, numbers, \
decisions, wishes and open questions; leave out small talk. Write at most 200 words, in the language of the \
conversation, and nothing but the summary.

{note}

The summary so far:
{before}

What was said after that:
{turns}"""

TOLD = "What was said before, in short:\n{note}\n{summary}\n\nThe conversation goes on:\n"


@dataclass(frozen=True, slots=True)
class _Summary:
    """A summary, and the turns that it ends with."""

    text: str
    mark: bytes


class SummaryOptions(BufferMemoryOptions):
    """Fields of the node."""


class SummaryBufferOptions(BufferMemoryOptions):
    """Fields of the node."""

    max_token_limit: int = Field(
        2000, ge=1, le=1_000_000, title="Max Token Limit", description="Tokens of the turns that stay as they are."
    )


class Summing(BufferMemory):
    """A memory that sums up what is too long ago."""

    anchors = (Anchor("model", ModelStep, "Chat Model"),)

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`. Raises `BadOption` for a model that only quotes."""
        super().__init__(node, options, links)
        (model,) = links["model"]
        assert isinstance(model, ModelStep)
        if model.quotes:
            raise BadOption("model: needs a chat model that writes; this one quotes, or none is configured")
        self._model = model
        self._summaries: OrderedDict[bytes, _Summary] = OrderedDict()

    @property
    @abstractmethod
    def room(self) -> int:
        """Characters of the turns that stay as they are."""

    async def recall(self, run: Run) -> Sequence[Turn]:
        """The last turns, the summary of those before them in front of the first."""
        turns = run.history
        name = sha256(f"{run.workspace} {run.chatflow} {run.caller} {run.session}".encode()).digest()
        known, summary = _known(self._summaries.get(name), turns)
        cut = cut_place(turns, known, self.room)
        if not cut:
            return turns
        if cut > known:
            for part in _parts(turns[known:cut]):
                summary = await self._longer(run, summary, part)
            self._summaries[name] = _Summary(summary, _mark(turns, cut))
            self._summaries.move_to_end(name)
            if len(self._summaries) > KEPT:
                self._summaries.popitem(last=False)
        first, *rest = turns[cut:]
        fence = Fence()
        before = TOLD.format(note=fence.note, summary=fence.put(summary, "summary"))
        return (replace(first, text=before + first.text), *rest)

    async def _longer(self, run: Run, summary: str, turns: Sequence[Turn]) -> str:
        fence = Fence()
        names = {Role.USER: "User", Role.MODEL: "Assistant"}
        asked = SUM_UP.format(
            note=fence.note,
            before=fence.put(summary, "summary") if summary else "(there is none)",
            turns=fence.conversation((names[turn.role], turn.text[:AT_ONCE]) for turn in turns),
        )
        said = await self._model.ask(run)([Message("user", asked)])
        return said.strip()[:LONGEST] or summary


class SummaryMemory(Summing):
    """Remembers a summary of the session, and its last turns."""

    label = "Conversation Summary Memory"
    base_classes = ("ConversationSummaryMemory", "BaseChatMemory", "BaseMemory")
    Options: ClassVar[type[BufferMemoryOptions]] = SummaryOptions
    room = 500 * PER_TOKEN


class SummaryBufferMemory(Summing):
    """Remembers a summary of the session, and as many of its last turns as fit."""

    label = "Conversation Summary Buffer Memory"
    version = 1
    base_classes = ("ConversationSummaryBufferMemory", "BaseChatMemory", "BaseMemory")
    Options: ClassVar[type[BufferMemoryOptions]] = SummaryBufferOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `SummaryBufferOptions`."""
        super().__init__(node, options, links)
        self._room = options.max_token_limit * PER_TOKEN

    @property
    def room(self) -> int:
        """By the node's limit."""
        return int(self._room)


def cut_place(turns: Sequence[Turn], known: int, room: int) -> int:
    """Where the summary ends, which reaches to `known`: there, while what follows has room, else at a question behind
    which half of the room is enough. The last exchange is never summed up."""
    sizes = [len(turn.text) for turn in turns]
    if sum(sizes[known:]) <= room:
        return known
    questions = [place for place in range(known + 1, len(turns)) if turns[place].role is Role.USER]
    fitting = (place for place in questions if sum(sizes[place:]) <= room // 2)
    return next(fitting, questions[-1] if questions else known)


def _known(kept: _Summary | None, turns: Sequence[Turn]) -> tuple[int, str]:
    """How far a summary that is kept reaches into the turns, of which the oldest may be gone."""
    if kept is not None:
        for end in reversed(range(1, len(turns))):
            if _mark(turns, end) == kept.mark:
                return end, kept.text
    return 0, ""


def _mark(turns: Sequence[Turn], end: int) -> bytes:
    """The last two turns before a place."""
    said = "\0".join(f"{turn.role.value}\0{turn.text}" for turn in turns[max(0, end - 2) : end])
    return sha256(said.encode("utf-8", "surrogatepass")).digest()


def _parts(turns: Sequence[Turn]) -> list[Sequence[Turn]]:
    """The turns in parts that the model reads at once."""
    parts: list[list[Turn]] = []
    size = 0
    for turn in turns:
        if not parts or size + len(turn.text) > AT_ONCE:
            parts.append([])
            size = 0
        parts[-1].append(turn)
        size += len(turn.text)
    return list(parts)
