"""A large corpus without a large embedding bill: vectors mixed from real ones, texts of real words by their frequency.

A vector is the sum of three of 640 real vectors with random weights, and noise: clusters that overlap, as those of real
texts do, in which near neighbours are told apart by little. Words are drawn by how often they stand in the sets of
`datasets/`, so that posting lists are as unequal as real ones (Zipf). All of it follows from the seed.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from service.providers.defaults import Defaults
from service.providers.embedding.onnx import OnnxEmbedder
from tests.benchmarks.corpus import questions, rows

Vectors = NDArray[np.float32]

DIMENSION = 384
SOURCES = 640
"""Real vectors that the others are mixed from."""
NOISE = 0.4
"""Length of the noise beside a mixture of length one."""
WORDS = 110
"""Words of a chunk: about 700 characters."""
BLOCK = 10_000
"""Chunks that are made together; block and number within it decide what a chunk is."""
SEED = 7


@dataclass(frozen=True, slots=True)
class Chunks:
    """A block of the corpus; `first` is the place of its first chunk."""

    first: int
    vectors: Vectors
    texts: list[str]

    def metadata(self, place: int) -> dict[str, object]:
        """What filters of all selectivities find: of 10,000 chunks `half` takes 5,000, `percent` 100, `rare` one."""
        n = self.first + place
        # a multiplication spreads neighbours, so that no value goes with a run of chunks
        spread = n * 7919 % 10_000
        return {
            "n": n,
            "half": spread % 2,
            "percent": f"p{spread % 100}",
            "rare": f"r{spread}",
            "rank": spread,
            "day": f"{2000 + spread // 400}-{1 + spread % 400 // 40:02d}-{1 + spread % 28:02d}",
        }


@dataclass(frozen=True, slots=True)
class Question:
    """A query: its vector, and the text that goes with it in the keyword half."""

    vector: Vectors
    text: str


async def real_vectors() -> Vectors:
    """The real vectors that everything is mixed from, shape (SOURCES, DIMENSION)."""
    embedder = OnnxEmbedder.configured({}, {}, Defaults())
    sets = [[row["text"] for row in rows(name, "corpus.jsonl")] for name in ("clapnq", "squad-en", "scifact")]
    texts = [text for texts in zip_longest(*sets) for text in texts if text is not None][:SOURCES]
    try:
        found = [await embedder.embed_query_array(text[:600]) for text in texts]
    finally:
        await embedder.aclose()
    return np.asarray(found, np.float32)


def blocks(real: Vectors, chunks: int) -> Iterator[Chunks]:
    """The corpus of this size, block by block."""
    words, shares = _words()
    for first in range(0, chunks, BLOCK):
        size = min(BLOCK, chunks - first)
        chance = np.random.default_rng((SEED, first))
        drawn = chance.choice(len(words), (size, WORDS), p=shares)
        texts = [" ".join(words[place] for place in row) + "." for row in drawn]
        yield Chunks(first, mixed(real, chance, size), texts)


def asked(real: Vectors, count: int) -> list[Question]:
    """Queries: vectors of the same kind as the corpus's, with real questions."""
    texts = [text for texts in zip(questions("scifact"), questions("clapnq"), strict=False) for text in texts]
    vectors = mixed(real, np.random.default_rng((SEED, 0, 1)), count)
    return [Question(vector, texts[place % len(texts)]) for place, vector in enumerate(vectors)]


def mixed(real: Vectors, chance: np.random.Generator, count: int) -> Vectors:
    """`count` vectors of length one."""
    parts = chance.integers(0, len(real), (count, 3))
    weights = chance.dirichlet((1.0, 1.0, 1.0), count)
    found = np.einsum("ij,ijk->ik", weights, real[parts])
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found += chance.normal(0, NOISE / np.sqrt(real.shape[1]), found.shape)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


@lru_cache(maxsize=1)
def _words() -> tuple[list[str], NDArray[np.float64]]:
    counts: Counter[str] = Counter()
    for name in ("scifact", "clapnq", "squad-en"):
        for row in rows(name, "corpus.jsonl"):
            counts.update(row["text"].split())
    words = [word for word, _ in counts.most_common()]
    shares = np.array([counts[word] for word in words], np.float64)
    return words, shares / shares.sum()
