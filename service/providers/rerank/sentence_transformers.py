"""Reranks with a cross-encoder of sentence-transformers, on the CPU or a GPU (extra `torch`)."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from service.providers.defaults import Defaults
from service.providers.errors import MissingLibrary, RequestRefused
from service.providers.options import text, whole
from service.providers.rerank.base import Reranker

SETTING = "RAGSTONE_RERANK_MODEL_PATH"


class CrossEncoderReranker(Reranker):
    """Scores are the sigmoid of the model's one output, 0 to 1. Loading happens with the first call or `open`.

    Nothing is downloaded: the model is the folder that the operator names, or a hub name for what `hf download NAME`
    has put into the hub's cache on this machine. Code that a model brings is never run. Texts longer than the model
    reads are cut at its tokens. One batch is computed at a time, in a thread.
    """

    batch_size = 32

    def __init__(self, model: str, *, device: str = "cpu", batch_size: int | None = None) -> None:
        """`device`: "cpu", "cuda", "cuda:1", "mps", …"""
        self._name = model
        self._device = device
        self.batch_size = batch_size or self.batch_size
        self._loading = threading.Lock()
        self._turn = asyncio.Lock()
        self._model: Any = None

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """Fields `model` (empty: the operator's folder; else a hub name), `device`, `batchSize`.

        Folders are the operator's to name: what a flow or a request names is never opened as one.
        """
        own = str(defaults.rerank_model_path or "")
        name = text(config, "model", "modelName") or own
        if not name:
            raise RequestRefused(
                f"No reranker is set up on this machine. Start with {SETTING}=FOLDER of a cross-encoder."
            )
        if name != own and _is_path(name):
            raise RequestRefused(f"The field 'model' may not name a folder; the operator does, with {SETTING}.")
        return cls(name, device=text(config, "device") or "cpu", batch_size=whole(config, "batchSize"))

    async def open(self) -> None:
        """Load the model, off the event loop. Raises `MissingLibrary`, `RequestRefused`."""
        await asyncio.to_thread(self._load)

    async def aclose(self) -> None:
        self._model = None

    async def _scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        async with self._turn:  # who gives up while waiting costs nothing
            return await asyncio.to_thread(self._compute, query, list(texts))

    def _compute(self, query: str, texts: list[str]) -> list[float]:
        model = self._load()
        scores: list[float] = model.predict(
            [(query, item) for item in texts],
            batch_size=self.batch_size,
            show_progress_bar=False,
            activation_fn=_sigmoid,
            convert_to_numpy=True,
        ).tolist()
        return scores

    def _load(self) -> Any:
        with self._loading:
            if self._model is None:
                self._model = self._opened()
            return self._model

    def _opened(self) -> Any:
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise MissingLibrary("sentence-transformers", "torch") from error
        if _is_path(self._name) and not Path(self._name).is_dir():
            raise RequestRefused(f"{SETTING}: there is no model folder {self._name}.")
        try:
            model = CrossEncoder(self._name, device=self._device, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise RequestRefused(self._refusal()) from error
        except (RuntimeError, AssertionError) as error:  # torch has no class of its own for a device that is not there
            raise RequestRefused(
                f"The reranker '{self._name}' does not run on '{self._device}': {str(error)[:120]}"
            ) from error
        if not any("SequenceClassification" in name or "CausalLM" in name for name in model.config.architectures or ()):
            raise RequestRefused(self._refusal())  # the library would put a head of random numbers on it
        if model.num_labels != 1:
            raise RequestRefused(f"The reranker '{self._name}' has {model.num_labels} outputs; a reranker has one.")
        return model

    def _refusal(self) -> str:
        if Path(self._name).is_dir():
            return f"{self._name} is not a cross-encoder that sentence-transformers can load."
        return (
            f"The reranker '{self._name}' is not on this machine, and the service downloads nothing."
            f" Fetch it as the service's user, with: hf download {self._name}"
        )


def _sigmoid(outputs: Any) -> Any:
    """The model's raw outputs, a tensor, on the scale 0 to 1; models differ in what they apply by themselves."""
    return outputs.sigmoid()


def _is_path(name: str) -> bool:
    """True for what cannot be the name of a model on a hub, which is NAME or OWNER/NAME."""
    return name.startswith(("/", ".", "~")) or name.count("/") > 1 or Path(name).is_absolute()
