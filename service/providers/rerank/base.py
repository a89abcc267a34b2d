"""The reranker port: a question and texts in, a score for each text out, by a model that reads both together."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Self, final

from service.providers.defaults import Defaults
from service.providers.errors import Malformed, ProviderError, RequestRefused

RerankError = ProviderError
"""The root of what a reranker raises."""

LEAST = -1.0
"""The score of a text that says nothing: it is never sent to the model."""

MAX_QUERY = 8_000
"""Characters of a question that are read."""

MAX_TEXT = 20_000
"""Characters of a text that are read; models read fewer and cut by themselves, at tokens."""


class Reranker(ABC):
    """Judges how well texts answer a question.

    Adapters write `_scores`; `rank` is written here once, so that count and finiteness of every answer are checked
    and no adapter can skip it. Scores are in [-1, 1], higher is better; most models give 0 to 1.

    Raises `RerankError`: `RateLimited`, `BadCredential`, `ProviderUnavailable`, `ProviderTimeout`, `Malformed`,
    `RequestRefused`, `MissingLibrary`.
    """

    batch_size: int = 100
    """Texts that the model is asked about at once; what is cancelled stops between two batches at the latest."""

    @classmethod
    @abstractmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """From the fields of a Flowise node and the data of its credential; nothing is loaded or asked yet.

        Unknown fields are ignored; a field that cannot be used raises `RequestRefused` with its name.
        """

    @abstractmethod
    async def _scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score a text, in order. Neither query nor texts are blank, no text comes twice."""

    async def open(self) -> None:  # noqa: B027  # most have nothing to load
        """Load what the first call would load. Optional; may be called again."""

    async def aclose(self) -> None:  # noqa: B027
        """Give back what is held. The reranker is not used afterwards."""

    @final
    async def rank(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score a text, in the order of the texts; equal texts have equal scores, a blank one has `LEAST`.

        Long questions and texts are cut (`MAX_QUERY`, `MAX_TEXT`). No texts give no scores, and nobody is asked.
        """
        cut = [text[:MAX_TEXT] for text in texts]
        different = [text for text in dict.fromkeys(cut) if text.strip()]
        if not different:
            return [LEAST] * len(cut)
        if not query.strip():
            raise RequestRefused("There is no question to rank the texts by.")
        scores: dict[str, float] = {}
        for start in range(0, len(different), self.batch_size):
            batch = different[start : start + self.batch_size]
            given = self._checked(await self._scores(query[:MAX_QUERY], batch), len(batch))
            scores.update(zip(batch, given, strict=True))
        return [scores.get(text, LEAST) for text in cut]

    @final
    def _checked(self, given: Sequence[float], count: int) -> list[float]:
        if len(given) != count:
            raise Malformed(f"The reranker answered with {len(given)} scores for {count} texts.")
        scores = [float(score) for score in given]
        if not all(isfinite(score) for score in scores):
            raise Malformed("The reranker's scores hold values that are not finite (NaN or infinity).")
        if any(abs(score) > 1 for score in scores):
            raise Malformed(
                "The reranker's scores lie outside -1 to 1. If its server gives the model's raw outputs, as llama.cpp"
                " does, set 'rawScores'."
            )
        return scores
