"""Chats with a GGUF file through llama.cpp in this process (extra `llm`).

llama.cpp brings a server that speaks OpenAI's protocol; it listens on a loopback port behind a random key, and the
model is that server seen through `OpenAIChat`. So streaming, errors and giving up on a cancelled answer are the same
code, and a request that its caller leaves is stopped even while the prompt is being read.
"""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr, SecretStr

from service.providers.chat.openai import OpenAIChat
from service.providers.defaults import Defaults
from service.providers.errors import MissingLibrary, RequestRefused
from service.providers.options import number, whole

CONTEXT = 4096
"""Tokens of prompt and answer together, unless the node says otherwise."""


class LocalChat(BaseChatModel):
    """A GGUF model on the CPU. The file is loaded with the first call, in a thread; `aclose` unloads it.

    One thread by default: threads of llama.cpp spin on a barrier, and two of them on a busy machine of two cores
    were 20 times slower than one.
    """

    path: Path
    context: int = CONTEXT
    threads: int = 1
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    timeout: float = 120.0
    _loading: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _server: Any = PrivateAttr(default=None)
    _remote: OpenAIChat | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "llama.cpp"

    async def aclose(self) -> None:
        """Unload the model."""
        remote, self._remote = self._remote, None
        if remote is not None:
            await remote.aclose()
        self._server = None

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
        remote = await self._ready()
        return await remote._agenerate(messages, stop, run_manager, **kwargs)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        remote = await self._ready()
        async for chunk in remote._astream(messages, stop, run_manager, **kwargs):
            yield chunk

    async def _ready(self) -> OpenAIChat:
        return self._remote if self._remote is not None else await asyncio.to_thread(self._load)

    def _load(self) -> OpenAIChat:
        with self._loading:
            if self._remote is None:
                key = secrets.token_urlsafe(24)
                self._server = _start(self.path, self.context, self.threads, key)
                self._remote = self._seen_through(self._server.listening_address, key)
            return self._remote

    def _seen_through(self, address: str, key: str) -> OpenAIChat:
        given = {"temperature": self.temperature, "max_tokens": self.max_tokens, "top_p": self.top_p}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return OpenAIChat(
            model=self.path.stem,
            api_key=SecretStr(key),
            base_url=f"{address}/v1",
            timeout=self.timeout,
            stream_chunk_timeout=self.timeout,
            stream_usage=True,
            max_retries=0,
            retries=0,
            # No proxy of the environment stands between this process and itself.
            http_client=httpx2.Client(timeout=self.timeout, trust_env=False),
            http_async_client=httpx2.AsyncClient(timeout=self.timeout, trust_env=False),
            **chosen,
        )


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields `temperature`, `maxTokens`, `topP`, `numCtx`, `numThread`. The file is the service's, never the node's."""
    path = defaults.chat_model_path
    if path is None:
        raise RequestRefused("There is no local model: set RAGSTONE_LOCAL_MODEL to a GGUF file.")
    return LocalChat(
        path=path,
        context=whole(config, "numCtx", least=256) or CONTEXT,
        threads=whole(config, "numThread") or 1,
        temperature=number(config, "temperature", least=0),
        max_tokens=whole(config, "maxTokens"),
        top_p=number(config, "topP", least=0),
        timeout=defaults.timeout,
    )


def _start(path: Path, context: int, threads: int, key: str) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingLibrary("xllamacpp", "llm") from error
    if not path.is_file():
        raise RequestRefused(f"There is no model file {path}.")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_ctx = context
    params.n_parallel = 1
    # A call that its caller has left ends between two batches of its prompt: about a second on a slow core.
    params.n_batch = params.n_ubatch = 128
    params.warmup = False
    params.verbosity = 0
    params.api_keys = [key]
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise RequestRefused(f"{path.name} is not a model that llama.cpp can load.") from error
