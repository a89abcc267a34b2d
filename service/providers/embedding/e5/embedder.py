"""Embeds in a hundred languages, offline."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from service.concurrency import cores
from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder, Fingerprint, TextKind, Vectors
from service.providers.embedding.e5.graph import INPUT, OUTPUT, encoder
from service.providers.embedding.e5.tokenizer import END, START, UnigramTokenizer
from service.providers.embedding.e5.weights import SHA256, read_weights, unpacked, weights_file
from service.providers.embedding.lanes import Lanes, Tokens
from service.providers.embedding.onnx import open_session

MODEL = "multilingual-e5-small"
DIMENSION = 384
PREFIXES = {TextKind.QUERY: "query: ", TextKind.DOCUMENT: "passage: "}
"""What the model was trained to see in front (Wang et al. 2024, "Multilingual E5 Text Embeddings")."""
MAX_WINDOWS = 4
"""Stretches as long as the model reads that a text is looked at in; its vector is the mean over all their tokens."""
MAX_CHARACTERS = 16_384
"""Characters looked at: four windows are never more in running text."""
UNRELATED = 0.75
"""The cosine of texts that have nothing to do with each other: the model was trained with a temperature of .01, which
leaves its cosines between .7 and 1. Measured between questions and all passages: median .74 English, .76 German, .82
Chinese."""

_ENCODE_INLINE = 8
ENGINE = "int8"
"""Part of the fingerprint: how the weights are computed with."""


class MultilingualEmbedder(Embedder):
    """multilingual-e5-small on the CPU, 384 dimensions, L2-normalised.

    Loading takes half a second and happens with the first call or `open`; texts of more than 512 tokens are read in
    windows. Every text is computed alone, since 8-bit activations share their scale with what is computed beside them:
    a text's vector depends on nothing else.
    """

    unrelated = UNRELATED

    def __init__(self, path: Path | None = None, *, threads: int = 0) -> None:
        """`path` to the weights, None: those of the package. `threads` that embed documents; 0: one for each core."""
        self._path = path
        self._lanes = Lanes(self._compute, threads or cores())
        self._loading = threading.Lock()
        self._model: _Model | None = None

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """The bundled model; the node has no fields."""
        return cls(threads=defaults.embedding_threads)

    @property
    def dimension(self) -> int:
        """The size of the vectors."""
        return DIMENSION

    async def open(self) -> None:
        """Load the model, off the event loop."""
        if self._model is None:
            await asyncio.to_thread(self._load)

    async def fingerprint(self) -> Fingerprint:
        """The vector space; known without loading the model, which is read only if it is the one known."""
        return Fingerprint(
            provider="onnx",
            model=MODEL,
            dimension=DIMENSION,
            normalised=True,
            revision=f"{SHA256}:{ENGINE}",
            query_prefix=PREFIXES[TextKind.QUERY],
            document_prefix=PREFIXES[TextKind.DOCUMENT],
        )

    async def aclose(self) -> None:
        """End the worker threads."""
        await asyncio.to_thread(self._lanes.close)

    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> Vectors:
        await self.open()
        if len(texts) <= _ENCODE_INLINE and sum(map(len, texts)) < 2048:
            tokens = self._encode(texts, kind)
        else:
            tokens = await asyncio.to_thread(self._encode, texts, kind)
        return await asyncio.wrap_future(self._lanes.submit(tokens, urgent=urgent))

    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        return self._lanes.submit(self._encode(texts, kind), urgent=kind is TextKind.QUERY).result()

    def _encode(self, texts: Sequence[str], kind: TextKind) -> list[Tokens]:
        model = self._load()
        longest = MAX_WINDOWS * model.window
        return [model.tokenizer.encode((PREFIXES[kind] + text)[:MAX_CHARACTERS])[:longest] for text in texts]

    def _compute(self, batch: Sequence[Tokens]) -> Vectors:
        model = self._load()
        return np.stack([model.run(tokens) for tokens in batch])

    def _load(self) -> "_Model":
        if self._model is None:
            with self._loading:
                if self._model is None:
                    self._model = _Model(self._path or weights_file())
        return self._model


class _Model:
    """The loaded model. Safe for several threads."""

    def __init__(self, path: Path | None) -> None:
        weights = read_weights(path)
        self.tokenizer = UnigramTokenizer(weights.pieces, weights.scores, weights.replaced)
        self.window = weights.positions - 2
        # Looked up in the file: most of the vocabulary's 54 MB is never read.
        self._words = weights.blocks("emb.word", weights.size)
        self._places = weights.floats("emb.pos").reshape(-1, weights.size) + weights.floats("emb.type")[: weights.size]
        self._session = open_session(encoder(weights))

    def run(self, tokens: Tokens) -> Vectors:
        """The unit vector of a text's pieces, (dimension,)."""
        total = np.zeros(DIMENSION, np.float32)
        for start in range(0, max(len(tokens), 1), self.window):
            marked = [START, *tokens[start : start + self.window], END]
            embedded = unpacked(self._words[marked]) + self._places[: len(marked)]
            total += self._session.run([OUTPUT], {INPUT: embedded[None]})[0][0].sum(axis=0)
        unit: Vectors = total / max(float(np.linalg.norm(total)), 1e-12)
        return unit
