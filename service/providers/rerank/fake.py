"""A reranker for tests and demonstrations: the share of the question's words that a text has."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from service.providers.defaults import Defaults
from service.providers.rerank.base import Reranker

_WORD = re.compile(r"\w+")


class FakeReranker(Reranker):
    """Deterministic, without a model; scores are 0 to 1, and a longer text of equal words comes after."""

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        return cls()

    async def _scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        await asyncio.sleep(0)  # as those that wait for somebody: a call that is given up ends here
        asked = _words(query)
        return [len(asked & _words(text)) / (len(asked) + 1e-6 * len(text) + 1e-9) for text in texts]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
