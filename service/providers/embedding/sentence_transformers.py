"""Embeds with any sentence-transformers model, on a GPU where there is one (extra `torch`)."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder, Fingerprint, TextKind, Vectors
from service.providers.errors import MissingLibrary, RequestRefused
from service.providers.options import text, whole

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class SentenceTransformersEmbedder(Embedder):
    """Unit vectors of a model by hub name or folder. Loading happens with the first call or `open`, in a thread.

    The model's own prompts for queries and documents are used where it has them.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        device: str | None = None,
        batch_size: int = 32,
    ) -> None:
        """`device`: "cuda", "cpu", …; None: the best there is."""
        self._name = model
        self._revision = revision
        self._device = device
        self._batch_size = batch_size
        self._loading = threading.Lock()
        self._model: Any = None

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """Fields `modelName` (hub name or folder), `revision`, `device`, `batchSize`."""
        return cls(
            text(config, "modelName") or DEFAULT_MODEL,
            revision=text(config, "revision") or None,
            device=text(config, "device") or None,
            batch_size=whole(config, "batchSize") or 32,
        )

    @property
    def dimension(self) -> int | None:
        """The size of the vectors; None until the model is loaded."""
        return None if self._model is None else _dimension(self._model)

    async def open(self) -> None:
        """Load the model, off the event loop. Raises `MissingLibrary`, `RequestRefused`."""
        await asyncio.to_thread(self._load)

    async def fingerprint(self) -> Fingerprint:
        """The vector space; loads the model."""
        await self.open()
        prompts = self._model.prompts or {}
        return Fingerprint(
            provider="sentence_transformers",
            model=self._name,
            dimension=_dimension(self._model),
            normalised=True,
            revision=self._revision or "",
            query_prefix=prompts.get("query") or "",
            document_prefix=prompts.get("document") or "",
        )

    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> Vectors:
        return await asyncio.to_thread(self._vectors_blocking, texts, kind)

    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        model = self._load()
        encode = model.encode_query if kind is TextKind.QUERY else model.encode_document
        vectors: Vectors = encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    def _load(self) -> Any:
        with self._loading:
            if self._model is None:
                try:
                    from sentence_transformers import SentenceTransformer
                except ImportError as error:
                    raise MissingLibrary("sentence-transformers", "torch") from error
                try:
                    self._model = SentenceTransformer(self._name, revision=self._revision, device=self._device)
                except (OSError, ValueError) as error:
                    raise RequestRefused(f"The embedding model '{self._name}' cannot be loaded.") from error
            return self._model


def _dimension(model: Any) -> int:
    # The method was renamed within the range of versions that the extra allows; the old name warns in later ones.
    ask = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(ask())
