"""The retrieval port: a query in, the best chunks out, and what a strategy may ask of the rest of the service."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from stores.lexical.base import Hits, Numbers
from stores.vector.base import Vector, VectorStore
from stores.vector.filters import Filter


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: the text, how many chunks at most, and which ones may be found."""

    text: str
    limit: int = 4
    where: Filter | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, by number. `score` is in [-1, 1], higher is better; `parts` says of what it is made."""

    number: int
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)


class Retriever(ABC):
    """A strategy: finds the chunks of one document store that answer a query."""

    @abstractmethod
    async def retrieve(self, query: Query) -> list[Hit]:
        """At most `query.limit` chunks that pass `query.where`, best first, each once.

        Errors of the stores and of the embedder come through as they are.
        """


def point_id(number: int) -> str:
    """The id of a chunk's vector: its number, written so that texts sort as numbers do. Vectors and keyword index thus
    speak of chunks in the same terms, and no query has to translate between them."""
    return f"{number:010d}"


EmbedQuery = Callable[[str], Awaitable[Vector]]
"""Embeds the text of a query."""


class LexicalSearch(Protocol):
    """The keyword search of one document store."""

    async def __call__(self, query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        """As `stores.lexical.index.LexicalIndex.search`, for a store that is already chosen."""
        ...


class Ledger(Protocol):
    """What strategies ask of the ledger of one document store."""

    async def allowed(self, where: Filter) -> Numbers:
        """The numbers of the chunks that pass a filter."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """The document store that a strategy searches."""

    vectors: VectorStore
    """Its points are named by `point_id` of their chunks' numbers."""
    collection: str
    embed: EmbedQuery
    lexical: LexicalSearch
    ledger: Ledger
    languages: frozenset[str] | None = None
    """Languages that the embedder knows, as ISO 639 codes; None when it knows them all or nobody says."""
