"""Chats with a GGUF file through llama.cpp in this process (extra `llm`).

llama.cpp brings a server that speaks OpenAI's protocol; it listens on a loopback port behind a random key, and the
model is that server seen through `OpenAIChat`. So streaming, errors and giving up on a cancelled answer are the same
code. The server notices that a caller has left when it next writes to it, so every answer is streamed, and the stream
tells of the prompt's batches too: that ends a request while its prompt is still being read.
"""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import httpx2
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import agenerate_from_stream
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr, SecretStr

from service.providers.chat.openai import OpenAIChat
from service.providers.defaults import Defaults
from service.providers.errors import MissingLibrary, RequestRefused
from service.providers.options import number, text, whole

MAGIC = b"GGUF"
CONTEXT = 4096
"""Tokens of prompt and answer together, unless the node says otherwise."""


ANSWER = 512
"""Most tokens of an answer, unless the node says otherwise: small models that begin to repeat themselves do not end."""

BATCH = 64
"""Tokens of a prompt read at a time, and at most read after the caller has left: half a second on a slow core. Larger
batches read no more than a fifth faster on one thread."""


@dataclass(frozen=True, eq=False)
class Engine:
    """A loaded model: llama.cpp's server, which ends when nothing refers to it any more."""

    server: Any
    key: str

    # Every flow has models of its own; those that agree in file, context and threads share one engine.
    _loading: ClassVar[threading.Lock] = threading.Lock()
    _running: ClassVar["WeakValueDictionary[tuple[Path, int, int], Engine]"] = WeakValueDictionary()

    @classmethod
    def of(cls, path: Path, context: int, threads: int) -> "Engine":
        """The engine that runs, else a new one; blocks while the file is read. Raises `RequestRefused`."""
        name = (path.resolve(), context, threads)
        with cls._loading:
            engine = cls._running.get(name)
            if engine is None:
                key = secrets.token_urlsafe(24)
                engine = cls._running[name] = cls(_start(path, context, threads, key), key)
            return engine


class LocalChat(BaseChatModel):
    """A GGUF model on the CPU. The file is loaded with the first call, in a thread; `aclose` unloads it.

    One thread by default: two of them on a busy machine of two cores were 20 times slower than one. An engine answers
    one request at a time, the others wait.
    """

    path: Path
    context: int = CONTEXT
    threads: int = 1
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    timeout: float = 120.0
    _loading: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _engine: Engine | None = PrivateAttr(default=None)
    _remote: OpenAIChat | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "llama.cpp"

    async def aclose(self) -> None:
        """Unload the model, unless another flow uses it."""
        remote, self._remote = self._remote, None
        held, self._engine = [self._engine], None
        if remote is not None:
            await remote.aclose()
        await asyncio.to_thread(held.clear)  # the last reference ends the server, and waits for its threads

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._load()._generate(messages, stop, run_manager, **kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        remote = await self._ready()
        stream: Any = remote._astream(messages, stop, run_manager, **kwargs)
        async with aclosing(stream):
            async for chunk in stream:
                if not _only_progress(chunk):
                    yield chunk

    async def _ready(self) -> OpenAIChat:
        return self._remote if self._remote is not None else await asyncio.to_thread(self._load)

    def _load(self) -> OpenAIChat:
        with self._loading:
            if self._remote is None:
                self._engine = Engine.of(self.path, self.context, self.threads)
                self._remote = self._seen_through(self._engine)
            return self._remote

    def _seen_through(self, engine: Engine) -> OpenAIChat:
        given = {"temperature": self.temperature, "max_tokens": self.max_tokens, "top_p": self.top_p}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return OpenAIChat(
            model=self.path.stem,
            api_key=SecretStr(engine.key),
            base_url=f"{engine.server.listening_address}/v1",
            timeout=self.timeout,
            stream_chunk_timeout=None,  # its wait_for loses a cancellation now and then before Python 3.12
            stream_usage=True,
            extra_body={"return_progress": True},
            max_retries=0,
            again=0,
            # No proxy of the environment stands between this process and itself.
            http_client=httpx2.Client(timeout=self.timeout, trust_env=False),
            http_async_client=httpx2.AsyncClient(timeout=self.timeout, trust_env=False),
            **chosen,
        )


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields `temperature`, `maxTokens`, `topP`, `numCtx`, `numThread`, `modelPath`.

    The file is the service's, never the node's: `modelPath` may name it, by its path or by its name, and any other is
    refused, so that who may write a chatflow cannot make the service open files.
    """
    path = defaults.chat_model_path
    if path is None:
        raise RequestRefused("There is no local model: set RAGSTONE_LOCAL_MODEL to a GGUF file.")
    if text(config, "modelPath") not in ("", str(path), path.name):
        raise RequestRefused(f"The field 'modelPath' names another file than the service's model, {path.name}.")
    _check(path)
    return LocalChat(
        path=path,
        context=whole(config, "numCtx", least=256) or CONTEXT,
        threads=whole(config, "numThread") or 1,
        temperature=number(config, "temperature", least=0),
        max_tokens=whole(config, "maxTokens") or ANSWER,
        top_p=number(config, "topP", least=0),
        timeout=defaults.timeout,
    )


def _only_progress(chunk: ChatGenerationChunk) -> bool:
    """True for a piece that only tells how much of the prompt was read."""
    message = chunk.message
    told = (message.content, message.additional_kwargs, chunk.generation_info, getattr(message, "tool_call_chunks", []))
    return not any(told) and not getattr(message, "usage_metadata", None) and not getattr(message, "chunk_position", "")


def _check(path: Path) -> None:
    """What can be said without loading. Raises `MissingLibrary`, `RequestRefused`."""
    if find_spec("xllamacpp") is None:
        raise MissingLibrary("xllamacpp", "llm")
    if not path.is_file():
        raise RequestRefused(f"There is no model file {path}.")
    with path.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise RequestRefused(f"{path.name} is not a GGUF file.")


def _start(path: Path, context: int, threads: int, key: str) -> Any:
    _check(path)
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}
    for part in (params.cpuparams, params.cpuparams_batch):
        part.n_threads = threads
        part.poll = 0  # threads that wait do not spin
    params.n_ctx = context
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = BATCH
    params.cache_ram_mib = 0  # else up to 8 GiB of former prompts
    params.warmup = False
    params.verbosity = 0
    params.offline = True
    params.ui = params.endpoint_slots = False
    params.endpoint_metrics = True
    params.api_keys = [key]
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise RequestRefused(f"{path.name} is not a model that llama.cpp can load.") from error
