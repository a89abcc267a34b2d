"""Embeds with any sentence-transformers model, on the CPU or a GPU (extra `torch`)."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder, Fingerprint, TextKind, Vectors
from service.providers.errors import MissingLibrary, RequestRefused
from service.providers.options import text, whole

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class SentenceTransformersEmbedder(Embedder):
    """Unit vectors of a model by folder or hub name. Loading happens with the first call or `open`, in a thread.

    Nothing is downloaded: a hub name stands for what `hf download NAME` has put into the hub's cache on this machine,
    and code that a model brings is never run. The model's own prompts for queries and documents are used where it has
    them.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        """`device`: "cpu", "cuda", "cuda:1", "mps", …; `revision`: of a hub name."""
        self._name = model
        self._revision = revision
        self._device = device
        self._batch_size = batch_size
        self._loading = threading.Lock()
        self._model: Any = None
        self._prompts: dict[TextKind, str] = {}
        self._digest = ""

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """Fields `modelName` (hub name or folder), `revision`, `device`, `batchSize`."""
        return cls(
            text(config, "modelName") or DEFAULT_MODEL,
            revision=text(config, "revision") or None,
            device=text(config, "device") or "cpu",
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
        """The vector space; its revision is the SHA-256 of weights and layers, wherever they were loaded from."""
        await self.open()
        return Fingerprint(
            provider="sentence_transformers",
            model=self._name,
            dimension=_dimension(self._model),
            normalised=True,
            revision=self._digest,
            query_prefix=self._prompts[TextKind.QUERY],
            document_prefix=self._prompts[TextKind.DOCUMENT],
        )

    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> Vectors:
        return await asyncio.to_thread(self._vectors_blocking, texts, kind)

    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        model = self._load()
        encode = model.encode_query if kind is TextKind.QUERY else model.encode_document
        vectors: Vectors = encode(
            list(texts),
            prompt=self._prompts[kind],
            batch_size=self._batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return vectors

    def _load(self) -> Any:
        with self._loading:
            if self._model is None:
                model = self._opened()
                self._prompts = {kind: _prompt(model.prompts or {}, kind) for kind in TextKind}
                self._digest = _digest(model)
                self._model = model
            return self._model

    def _opened(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingLibrary("sentence-transformers", "torch") from error
        if _is_path(self._name) and not Path(self._name).is_dir():
            raise RequestRefused(f"There is no model folder {self._name}.")
        try:
            return SentenceTransformer(
                self._name, revision=self._revision, device=self._device, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise RequestRefused(self._refusal()) from error
        except (RuntimeError, AssertionError) as error:  # torch has no class of its own for a device that is not there
            raise RequestRefused(
                f"The embedding model '{self._name}' does not run on '{self._device}': {str(error)[:120]}"
            ) from error

    def _refusal(self) -> str:
        if Path(self._name).is_dir():
            return f"{self._name} is not a model that sentence-transformers can load."
        revision = f" --revision {self._revision}" if self._revision else ""
        return (
            f"The embedding model '{self._name}' is not on this machine, and the service downloads nothing."
            f" Fetch it as the service's user, with: hf download {self._name}{revision}"
        )


def _is_path(name: str) -> bool:
    """True for what cannot be the name of a model on a hub, which is NAME or OWNER/NAME."""
    return name.startswith(("/", ".", "~")) or name.count("/") > 1 or Path(name).is_absolute()


def _prompt(prompts: Mapping[str, str], kind: TextKind) -> str:
    """The model's prompt; models of the E5 family name the one for documents `passage`."""
    names = ("query",) if kind is TextKind.QUERY else ("document", "passage", "corpus")
    return next((prompts[name] for name in names if prompts.get(name)), "")


def _digest(model: Any) -> str:
    """Of every weight by name, the vocabulary, the kinds of layers, pooling and longest input."""
    pooling = [layer.get_pooling_mode_str() for layer in model if hasattr(layer, "get_pooling_mode_str")]
    shape = [[type(layer).__name__ for layer in model], pooling, model.max_seq_length]
    digest = hashlib.sha256(json.dumps(shape).encode())
    if hasattr(model.tokenizer, "get_vocab"):
        digest.update(json.dumps(model.tokenizer.get_vocab(), sort_keys=True).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _dimension(model: Any) -> int:
    # The method was renamed within the range of versions that the extra allows; the old name warns in later ones.
    ask = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(ask())
