"""The retrieval port: a pipeline of stages from a question to chunks, and what stages may ask of the service.

Stages are of three kinds: some change or multiply the question, exactly one searches, some work on what it found. A
stage is made once from its options, knows no document store, keeps nothing of a single query, and may be shared by
many at once: everything about one query comes with the `Call`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from service.chatflows.types import Turn
from service.document_stores.ledger.types import ChunkRow
from service.errors import Unprocessable
from service.retrieval.trace import SILENT, Notes
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Vector, VectorStore
from stores.vector.filters import Filter


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: the text, how many chunks at most, which ones may be found, and the turns before, oldest first."""

    text: str
    limit: int = 4
    where: Filter | None = None
    history: Sequence[Turn] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question to search for. `passages` are texts as an answer might be worded: the vector that is searched by is
    the mean of theirs and the question's, the words are the question's alone."""

    text: str
    passages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, by number. `score` is in [-1, 1], higher is better; `parts` says of what it is made."""

    number: int
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A live chunk on its way into the answer, with its score as `Hit` has it.

    `chunk` keeps the id of the chunk that was found, also when a stage has changed its text.
    """

    chunk: ChunkRow
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The chunk's number, by which vectors and keyword index know it."""
        assert self.chunk.number is not None, "only indexed chunks are found"
        return self.chunk.number

    @property
    def text(self) -> str:
        """The text that is shown."""
        return self.chunk.text

    def with_text(self, text: str, **metadata: object) -> "Found":
        """The same chunk, shown with another text; `metadata` are laid over its own."""
        return replace(self, chunk=replace(self.chunk, text=text, metadata={**self.chunk.metadata, **metadata}))

    def scored(self, score: float, **parts: float) -> "Found":
        """The same chunk with another score; `parts` are laid over those it has."""
        return replace(self, score=score, parts={**self.parts, **parts})


EmbedQuery = Callable[[str], Awaitable[Vector]]
"""Embeds the text of a query."""

EmbedTexts = Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]
"""Embeds texts of the kind that is searched, in their order."""


class LexicalSearch(Protocol):
    """The keyword search of one document store."""

    async def __call__(self, query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        """As `stores.lexical.index.LexicalIndex.search`, for a store that is already chosen."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring chunks of a document, by their positions, both included."""

    document_id: UUID
    first: int
    last: int

    def holds(self, chunk: ChunkRow) -> bool:
        """Whether a chunk is one of them."""
        return chunk.document_id == self.document_id and self.first <= chunk.position <= self.last


class Ledger(Protocol):
    """What stages ask of the ledger of one document store."""

    @property
    def narrowed(self) -> bool:
        """Whether some chunks may not be found here, whatever the filter."""
        ...

    @property
    def frank(self) -> bool:
        """Whether an explanation may say how near chunks are that may not be shown."""
        ...

    async def allowed(self, where: Filter | None) -> Numbers:
        """The numbers of the chunks that may be found and pass the filter."""
        ...

    async def few(self, where: Filter | None, most: int) -> Numbers | None:
        """As `allowed`; None when there are more than `most`."""
        ...

    async def among(self, numbers: Numbers, where: Filter | None = None) -> Numbers:
        """Those of the numbers whose chunks may be found and pass the filter, in their order."""
        ...

    async def live(self, numbers: Sequence[int], limit: int) -> Sequence[ChunkRow]:
        """The first `limit` of the numbered chunks that may be shown, in the order of `numbers`."""
        ...

    async def near(self, spans: Sequence[Span], where: Filter | None) -> Sequence[ChunkRow]:
        """The chunks in these spans that may be shown and pass the filter, by document and position."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a chat model."""

    role: Literal["system", "user", "assistant"]
    text: str


Ask = Callable[[Sequence[Message]], Awaitable[str]]
"""Has a chat model write an answer. Raises `ProviderError`."""

Rerank = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"""How well each text answers a question, in [-1, 1], in the order of the texts. Raises `ProviderError`."""


class Models(Protocol):
    """The models that stages may use."""

    @property
    def ask(self) -> Ask | None:
        """The chat model; None where the service has none."""
        ...

    async def reranker(self, name: str, config: Mapping[str, Any]) -> Rerank:
        """The reranker of this name. Raises `Unprocessable` for an unknown name or a bad configuration."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """The document store that a pipeline searches."""

    vectors: VectorStore
    """Its points are named by `point_id` of their chunks' numbers."""
    collection: str
    embed: EmbedQuery
    lexical: LexicalSearch
    ledger: Ledger
    languages: frozenset[str] | None = None
    """Languages that the embedder knows, as ISO 639 codes; None when it knows them all or nobody says."""
    unrelated: float = 0.0
    """The cosine of texts that have nothing to do with each other, by the embedder."""
    embed_texts: EmbedTexts | None = None
    """None: `embed` takes these texts too."""
    models: Models | None = None

    async def vector_of(self, question: Question) -> Vector:
        """The vector to search by: the question's, or the mean of it and of its passages, all of unit length."""
        if not question.passages:
            return await self.embed(question.text)
        own, others = await asyncio.gather(self.embed(question.text), self.texts(question.passages))
        mean = np.mean([_unit(vector) for vector in (own, *others)], axis=0)
        return _unit(mean)

    def nearness(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """The cosines on the one scale of scores: 1 for texts of the same direction, 0 for unrelated ones. Some models
        leave no more than a quarter of the scale for all there is between the two."""
        return np.maximum((cosines - self.unrelated) / (1 - self.unrelated), -1.0)

    async def texts(self, texts: Sequence[str]) -> Sequence[Vector]:
        """The vectors of texts of the kind that is searched, in their order."""
        if self.embed_texts is not None:
            return await self.embed_texts(texts)
        return [await self.embed(text) for text in texts]


def _unit(vector: Vector) -> NDArray[np.floating]:
    values = np.asarray(vector, np.float32)
    length = float(np.linalg.norm(values))
    return values / length if length > 0 else values


@dataclass(frozen=True, slots=True)
class Call:
    """One query, as a stage sees it. `query.text` is the question that the answer is for, as the question stages left
    it: the first of theirs."""

    query: Query
    sources: Sources
    notes: Notes = SILENT
    enough: int | None = None
    """How many of the best chunks a search may stop at where further ones cost more requests; None: all that it is to
    find."""


class StageOptions(BaseModel):
    """Base of options: camelCase names, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Stage(ABC):
    """A part of a pipeline. Its class docstring says what it does, its options what may be set."""

    name: ClassVar[str]
    Options: ClassVar[type[StageOptions]] = StageOptions

    def __init__(self, options: Any = None) -> None:
        """`options` are this class's `Options`; None takes the defaults."""
        self.options = self.Options() if options is None else options

    def ask_of(self, call: Call) -> Ask:
        """The chat model. Raises `Unprocessable` when there is none."""
        ask = call.sources.models.ask if call.sources.models is not None else None
        if ask is None:
            raise Unprocessable(
                f"retrieval: the stage '{self.name}' needs a chat model and the service has none;"
                " set RAGSTONE_CHAT_MODEL or leave the stage out"
            )
        return ask


class QuestionStage(Stage):
    """Changes or multiplies the question before anything is searched."""

    @abstractmethod
    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        """The questions to search for in place of `asked`, at least one; the first is the one to be answered."""

    def most(self, count: int) -> int:
        """How many questions this makes of `count` at most."""
        return count

    @property
    def rank_constant(self) -> float | None:
        """The constant of reciprocal rank fusion, where that orders what several questions found; None: scores do."""
        return None


class SearchStage(Stage):
    """Finds chunks for a question."""

    @abstractmethod
    async def search(self, question: Question, limit: int, call: Call) -> list[Hit]:
        """At most `limit` chunks that pass `call.query.where`, best first, each once. Fewer than `call.enough` are all
        there are.

        Errors of the stores and of the embedder come through as they are.
        """


class HitStage(Stage):
    """Orders, thins out or completes what was found."""

    def wanted(self, limit: int) -> int:
        """How many chunks this wants from below to hand on `limit`."""
        return limit

    @abstractmethod
    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        """At most `limit` chunks, best first, each once. Why one is left out is said to `call.notes`."""


def point_id(number: int) -> str:
    """The id of a chunk's vector: its number, written so that texts sort as numbers do. Vectors and keyword index thus
    speak of chunks in the same terms, and no query has to translate between them."""
    return f"{number:010d}"
