"""Flowise's response synthesizers: how an answer is made of more text than one prompt holds.

All texts are data between the markers of a `Fence`, a new one for every prompt; templates are filled in one pass. Only
the last call of the model is streamed.
"""

import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Links, ModelStep, Step, StepOptions
from service.chatflows.types import Passage, StepEvent, Token, Usage
from service.concurrency import together
from service.untrusted import Fence

ROOM = 24_000
"""Characters of context in one prompt: some 6,000 tokens, which every model of today can read beside its answer."""
MOST_ROUNDS = 6
"""Levels of a tree of summaries; each holds a fraction of the one before."""

CITE = (
    "After each statement put the number of the document it comes from in square brackets, such as [1]. If the context"
    " does not hold the answer, say that you do not know. Answer in the language of the query."
)
KEEP = (
    "Keep the numbers in square brackets behind what you take over from the context. If it does not hold the answer,"
    " say that you do not know. Answer in the language of the query."
)

TEXT_QA = """The query is to be answered from this context and from nothing else.
---------------------
{context}
---------------------
Query: {query}
Answer:"""

REFINE = """The query: {query}
The answer so far: {existingAnswer}
Further context:
------------
{context}
------------
Make the answer better where the further context helps; else repeat it as it is. Write the answer only.
Answer:"""

SUMMARIZE = """Context from several sources:
---------------------
{context}
---------------------
Answer the query from this context and from nothing else.
Query: {query}
Answer:"""

_PLACE = re.compile(r"\{(context|query|existingAnswer)\}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A text to answer from."""

    text: str
    kind: str = "document"
    number: int | None = None
    """What it is cited by."""
    title: str | None = None


def pieces_of(passages: Sequence[Passage]) -> list[Piece]:
    """The passages, numbered from 1 on."""
    return [
        Piece(
            item.text, "document", number, str(item.metadata.get("title") or item.metadata.get("source") or "") or None
        )
        for number, item in enumerate(passages, 1)
    ]


@dataclass(frozen=True, slots=True)
class Task:
    """A question, the model that answers it, and what it is told about citing."""

    run: Run
    model: ModelStep
    question: str
    rule: str = CITE


class Synthesizer(Step):
    """Makes an answer of texts."""

    category = "Response Synthesizer"

    @abstractmethod
    def write(self, task: Task, pieces: Sequence[Piece]) -> AsyncGenerator[StepEvent, None]:
        """The answer, piece by piece, and what the calls of the model took. Raises `ProviderError`."""


class RefineOptions(StepOptions):
    """Fields of the nodes."""

    refine_prompt: str = Field(REFINE, title="Refine Prompt", description="With {query}, {existingAnswer}, {context}.")
    text_qa_prompt: str = Field(
        TEXT_QA, alias="textQAPrompt", title="Text QA Prompt", description="With {query} and {context}."
    )


class SummarizeOptions(StepOptions):
    """Fields of the node."""

    prompt: str = Field(SUMMARIZE, title="Prompt", description="With {query} and {context}.")


class Refine(Synthesizer):
    """Answers from the first text, then makes the answer better with each further one."""

    label = "Refine"
    base_classes = ("Refine", "ResponseSynthesizer")
    Options = RefineOptions
    packs: ClassVar[bool] = False
    """Whether texts share a prompt as far as they fit."""

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `RefineOptions`."""
        super().__init__(node, options, links)
        self._options: RefineOptions = options

    async def write(self, task: Task, pieces: Sequence[Piece]) -> AsyncGenerator[StepEvent, None]:
        """The last answer is the one that is streamed."""
        parts = packed(pieces) if self.packs else [[piece] for piece in pieces]
        answer = ""
        for number, part in enumerate(parts or [[]]):
            fence = Fence()
            before = fence.put(answer, "answer") if number else ""
            values = {"query": task.question, "context": _context(part, fence), "existingAnswer": before}
            form = self._options.refine_prompt if number else self._options.text_qa_prompt
            if number + 1 >= len(parts):
                async with aclosing(_asked(task, form, values, last=True)) as events:
                    async for event in events:
                        yield event
                return
            answer, taken = await _told(task, form, values)
            for usage in taken:
                yield usage


class CompactRefine(Refine):
    """Answers from as many texts as fit into a prompt, then makes the answer better with the rest."""

    label = "Compact and Refine"
    base_classes = ("CompactRefine", "ResponseSynthesizer")
    packs = True


class SimpleResponseBuilder(Synthesizer):
    """Answers from all texts in one prompt, shortened where they do not fit."""

    label = "Simple Response Builder"
    base_classes = ("SimpleResponseBuilder", "ResponseSynthesizer")

    async def write(self, task: Task, pieces: Sequence[Piece]) -> AsyncGenerator[StepEvent, None]:
        """One call."""
        share = ROOM // max(1, len(pieces))
        fits = sum(len(piece.text) for piece in pieces) <= ROOM
        short = pieces if fits else [_shortened(piece, share) for piece in pieces]
        values = {"query": task.question, "context": _context(short, Fence())}
        async with aclosing(_asked(task, TEXT_QA, values, last=True)) as events:
            async for event in events:
                yield event


class TreeSummarize(Synthesizer):
    """Answers from parts of the texts side by side, then from these answers, until one is left."""

    label = "TreeSummarize"
    base_classes = ("TreeSummarize", "ResponseSynthesizer")
    Options = SummarizeOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `SummarizeOptions`."""
        super().__init__(node, options, links)
        self._options: SummarizeOptions = options

    async def write(self, task: Task, pieces: Sequence[Piece]) -> AsyncGenerator[StepEvent, None]:
        """The answer at the root is the one that is streamed."""
        level = task
        for _ in range(MOST_ROUNDS):
            parts = packed(pieces)
            if len(parts) <= 1:
                break
            told = await together(*(self._summary(level, part) for part in parts))
            for _text, taken in told:
                for usage in taken:
                    yield usage
            pieces = [Piece(text, "answer") for text, _ in told]
            level = Task(task.run, task.model, task.question, KEEP)
        (part,) = packed(pieces)[:1] or [[]]
        values = {"query": task.question, "context": _context(part, Fence())}
        async with aclosing(_asked(level, self._options.prompt, values, last=True)) as events:
            async for event in events:
                yield event

    async def _summary(self, task: Task, part: Sequence[Piece]) -> tuple[str, list[Usage]]:
        values = {"query": task.question, "context": _context(part, Fence())}
        return await _told(task, self._options.prompt, values)


def packed(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The texts in as few prompts as hold them, in their order; one that is too long for any is cut into several."""
    parts: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        for start in range(0, max(1, len(piece.text)), ROOM):
            cut = Piece(piece.text[start : start + ROOM], piece.kind, piece.number, piece.title)
            if not parts or len(cut.text) > room:
                parts.append([])
                room = ROOM
            parts[-1].append(cut)
            room -= len(cut.text)
    return parts


def filled(form: str, values: Mapping[str, str]) -> str:
    """A template with its values, in one pass: what is put in is never looked at again."""
    return _PLACE.sub(lambda found: values.get(found[1], ""), form)


def _context(pieces: Sequence[Piece], fence: Fence) -> str:
    if not pieces:
        return "Nothing was found."
    rows = [fence.put(piece.text, piece.kind, number=piece.number, title=piece.title) for piece in pieces]
    return "\n".join([fence.note, *rows])


def _shortened(piece: Piece, room: int) -> Piece:
    return Piece(piece.text[:room], piece.kind, piece.number, piece.title)


async def _asked(task: Task, form: str, values: Mapping[str, str], *, last: bool) -> AsyncGenerator[StepEvent, None]:
    """One call of the model; only the last one of an answer is streamed."""
    from langchain_core.messages import HumanMessage, SystemMessage

    said = [SystemMessage(task.rule), HumanMessage(filled(form, values))]
    async with aclosing(task.model.write(said, whole=task.run.whole or not last)) as events:
        async for event in events:
            yield event


async def _told(task: Task, form: str, values: Mapping[str, str]) -> tuple[str, list[Usage]]:
    """The words of a call that is not the last, and what it took."""
    words: list[str] = []
    taken: list[Usage] = []
    async with aclosing(_asked(task, form, values, last=False)) as events:
        async for event in events:
            if isinstance(event, Token):
                words.append(event.text)
            elif isinstance(event, Usage):
                taken.append(event)
    return "".join(words), taken
