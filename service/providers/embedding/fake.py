"""An embedder without a model, for tests: words hashed into a vector, so that shared words make texts near."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder, Fingerprint, TextKind, Vectors

_WORD = re.compile(r"\w+")


class FakeEmbedder(Embedder):
    """Deterministic unit vectors; `calls` records the texts of each call, oldest first."""

    def __init__(self, dimension: int = 16) -> None:
        """`dimension`: size of the vectors."""
        self._dimension = dimension
        self.calls: list[tuple[str, ...]] = []

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """Takes `dimension`."""
        return cls(int(config.get("dimension", 16)))

    @property
    def dimension(self) -> int:
        """The size of the vectors."""
        return self._dimension

    async def fingerprint(self) -> Fingerprint:
        """The vector space: only the dimension tells two fakes apart."""
        return Fingerprint(provider="fake", model="hashed-words", dimension=self._dimension, normalised=True)

    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> Vectors:
        await asyncio.sleep(0)  # a real embedder gives way here, and can be cancelled
        return self._vectors_blocking(texts, kind)

    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        self.calls.append(tuple(texts))
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Vectors:
        vector = np.full(self._dimension, 1e-3, dtype=np.float32)
        for word in _WORD.findall(text.lower()):
            digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
            vector[int.from_bytes(digest[:4], "big") % self._dimension] += 1.0 if digest[4] & 1 else -1.0
        unit: Vectors = vector / np.linalg.norm(vector)
        return unit
