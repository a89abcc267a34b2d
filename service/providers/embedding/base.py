"""The embedder port: LangChain's `Embeddings`, async first, with a fingerprint and answers that are always checked."""

import json
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Self, final

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from service.providers.defaults import Defaults
from service.providers.errors import ProviderError, WrongShape
from service.providers.pace import Pace

EmbeddingError = ProviderError
"""The root of what an embedder raises."""

Vectors = NDArray[np.float32]
"""One row a text."""


class TextKind(StrEnum):
    """What a text is to the model: asymmetric models embed questions and passages differently."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The vector space an embedder writes into. Vectors of unequal fingerprints must never be compared.

    A document store remembers the fingerprint of its vectors; another one means that it must be indexed anew.
    """

    provider: str
    model: str
    dimension: int
    normalised: bool
    revision: str = ""
    """Hash of the weights, where they are at hand."""
    query_prefix: str = ""
    document_prefix: str = ""

    def as_json(self) -> str:
        """A canonical text: equal fingerprints have equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Fingerprint":
        """The fingerprint that `as_json` wrote. Raises `ValueError` for anything else."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"not an embedding fingerprint: {text[:200]}") from error


class Embedder(Embeddings):
    """Turns texts into vectors of one size.

    Adapters write `_vectors` and `_vectors_blocking`; the public methods are written here once, so that the count,
    the size and the finiteness of every answer are checked and no adapter can skip it. Order is kept; no texts give
    no vectors; an empty text has a vector too. Cancelling a call stops the work that was not begun.

    Raises `EmbeddingError`: `RateLimited`, `BadCredential`, `ProviderUnavailable`, `ProviderTimeout`, `WrongShape`,
    `Malformed`, `RequestRefused`, `MissingLibrary`.
    """

    languages: frozenset[str] | None = None
    """Languages that the model knows, as ISO 639 codes; None when it knows them all or nobody says. In others the words
    of a question count for more."""
    unrelated: ClassVar[float] = 0.0
    """The cosine that texts have which have nothing to do with each other."""

    _running: int = 0
    _used: float = 0.0

    @classmethod
    @abstractmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """From the fields of a Flowise node and the data of its credential; nothing is loaded or asked yet.

        Unknown fields are ignored; a field that cannot be used raises `RequestRefused` with its name.
        """

    @abstractmethod
    async def fingerprint(self) -> Fingerprint:
        """The vector space. May load the model or ask the provider once."""

    @abstractmethod
    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> Any:
        """One vector a text, in order, as an array or nested sequences; `texts` is not empty."""

    @abstractmethod
    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> Any:
        """`_vectors` for callers without an event loop."""

    @property
    def dimension(self) -> int | None:
        """The vectors' size where it is known, else None until the first answer."""
        return None

    @cached_property
    def pace(self) -> Pace:
        """What all who call this embedder for documents know of its provider's limits."""
        return Pace()

    async def open(self) -> None:
        """Load what the first call would load. Optional; may be called again."""

    def foresee(self, text: str) -> None:
        """A question that is likely to be asked at once: one that embeds on this machine may begin, if nothing waits
        for it. Nothing is asked of a provider for what nobody may want."""

    async def aclose(self) -> None:
        """Give back threads and connections. The embedder is not used afterwards."""

    @final
    async def embed_array(
        self, texts: Sequence[str], kind: TextKind = TextKind.DOCUMENT, *, urgent: bool = False
    ) -> Vectors:
        """Float32 array (len(texts), dimension). `urgent` texts do not wait behind documents that do."""
        if not texts:
            return np.empty((0, self.dimension or 0), dtype=np.float32)
        self._running += 1
        try:
            return self._checked(await self._vectors(texts, kind, urgent), len(texts))
        finally:
            self._running -= 1
            self.touch()

    @final
    def touch(self) -> None:
        """It is wanted now."""
        self._used = time.monotonic()

    @property
    @final
    def idle(self) -> float:
        """Seconds since it was last wanted; 0 while it works."""
        return 0.0 if self._running else time.monotonic() - self._used

    @final
    async def embed_query_array(self, text: str) -> Vectors:
        """Float32 array (dimension,) of a question."""
        vector: Vectors = (await self.embed_array([text], TextKind.QUERY, urgent=True))[0]
        return vector

    @final
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a document, in order."""
        rows: list[list[float]] = (await self.embed_array(texts)).tolist()
        return rows

    @final
    async def aembed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        row: list[float] = (await self.embed_query_array(text)).tolist()
        return row

    @final
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a document, in order; blocks."""
        if not texts:
            return []
        rows: list[list[float]] = self._checked(self._vectors_blocking(texts, TextKind.DOCUMENT), len(texts)).tolist()
        return rows

    @final
    def embed_query(self, text: str) -> list[float]:
        """The vector of a question; blocks."""
        row: list[float] = self._checked(self._vectors_blocking([text], TextKind.QUERY), 1)[0].tolist()
        return row

    @final
    def _checked(self, answer: Any, count: int) -> Vectors:
        try:
            array = np.asarray(answer, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise WrongShape("The embedder's vectors differ in size or are not numbers.") from error
        if array.ndim != 2 or len(array) != count:
            got = len(array) if array.ndim else 0
            raise WrongShape(f"The embedder answered with {got} vectors for {count} texts.")
        if array.shape[1] == 0 or array.shape[1] != (self.dimension or array.shape[1]):
            raise WrongShape(f"The embedder's vectors have {array.shape[1]} dimensions, expected {self.dimension}.")
        if not np.isfinite(array).all():
            raise WrongShape("The embedder's vectors hold values that are not finite (NaN or infinity).")
        if not array.any(axis=1).all():
            raise WrongShape("The embedder answered with a vector of zeros.")
        return array
