"""Asks models of Replicate, by its HTTP interface: a prediction is made, waited for, and read when it is done.

Most of Replicate's models take a prompt and know no roles, so a conversation is written out. What a model of pictures
makes is an address, and that is its text.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr, SecretStr

from service.egress.client import Egress
from service.json_text import parsed
from service.providers.chat.services import key_of, place_of
from service.providers.defaults import Defaults
from service.providers.errors import (
    ContentRefused,
    Malformed,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RequestRefused,
    redact,
)
from service.providers.options import number, seconds, text, whole
from service.providers.refusals import asked, silent
from service.providers.retries import patiently

HELD = 60
"""Seconds that Replicate holds a request open until the prediction is done; the longest that it offers."""
PAUSE = 0.5
LONGEST_PAUSE = 5.0
"""Seconds between two looks at a prediction, at first and at last."""

_NAME = re.compile(r"([\w.-]+)/([\w.-]+)(?::([0-9a-f]{16,64}))?")
_ID = re.compile(r"[\w-]{1,64}")
_OPEN = frozenset({"starting", "processing", "queued"})


class ReplicateChat(BaseChatModel):
    """One prediction a call. A call that is cancelled, or takes longer than `timeout` seconds, cancels it there."""

    model: str
    """`owner/name`, or `owner/name:version`."""
    api_key: SecretStr
    base_url: str
    inputs: Mapping[str, Any] = {}
    """What the model is given besides the prompt."""
    timeout: float = 120.0
    retries: int = 2
    pause: float = PAUSE
    _egress: Egress = PrivateAttr(default_factory=Egress)
    _client: httpx2.AsyncClient | None = PrivateAttr(default=None)

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def _llm_type(self) -> str:
        return "replicate"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        async def work() -> ChatResult:
            async with self._egress.apart().http_client(timeout=self.timeout) as client:
                return await self._answer(client, messages, stop)

        return asyncio.run(work())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self._client is None:
            self._client = self._egress.http_client(timeout=self.timeout)
        return await self._answer(self._client, messages, stop)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        whole = (await self._agenerate(messages, stop)).generations[0].message
        assert isinstance(whole, AIMessage)
        piece = AIMessageChunk(
            content=whole.content,
            usage_metadata=whole.usage_metadata,
            response_metadata=whole.response_metadata,
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=piece)

    async def _answer(
        self, client: httpx2.AsyncClient, messages: Sequence[BaseMessage], stop: list[str] | None
    ) -> ChatResult:
        given = {"prompt": prompt_of(messages), **({"stop_sequences": ",".join(stop)} if stop else {}), **self.inputs}
        found = _NAME.fullmatch(self.model)
        assert found is not None, "configured() has seen to it"
        owner, name, version = found.groups()
        path = "/predictions" if version else f"/models/{owner}/{name}/predictions"
        body = json.dumps({**({"version": version} if version else {}), "input": given}).encode()
        try:
            async with asyncio.timeout(self.timeout):
                made = await patiently(lambda: self._ask(client, "POST", path, body), self.retries, silent=silent)
                done = await self._finished(client, made)
        except TimeoutError:
            raise ProviderTimeout("The model provider did not answer in time.") from None
        return self._result(done)

    async def _finished(self, client: httpx2.AsyncClient, made: Mapping[str, Any]) -> Mapping[str, Any]:
        """The prediction once it has ended. Its own address is made here: the key goes nowhere else."""
        identifier = str(made.get("id", ""))
        if not _ID.fullmatch(identifier):
            raise Malformed("The model provider's answer cannot be understood.")
        place, pause = f"/predictions/{identifier}", self.pause
        try:
            while made.get("status") in _OPEN:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
                made = await patiently(lambda: self._ask(client, "GET", place), self.retries, silent=silent)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self._cancel(client, place)))
            raise
        return made

    async def _cancel(self, client: httpx2.AsyncClient, place: str) -> None:
        try:
            await self._ask(client, "POST", f"{place}/cancel", limit=5.0)
        except ProviderError:
            return  # it ends by itself, later

    async def _ask(
        self, client: httpx2.AsyncClient, method: str, path: str, body: bytes | None = None, limit: float | None = None
    ) -> Mapping[str, Any]:
        key = self.api_key.get_secret_value()
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Prefer": f"wait={max(1, min(HELD, int(self.timeout)))}"}
        url = f"{self.base_url}{path}"
        found = await asked(client, method, url, headers=headers, body=body, key=key, limit=limit)
        if not isinstance(found, Mapping):
            raise Malformed("The model provider's answer cannot be understood.")
        return found

    def _result(self, done: Mapping[str, Any]) -> ChatResult:
        status = done.get("status")
        if status != "succeeded":
            said = redact(str(done.get("error") or status or "nothing"), self.api_key.get_secret_value())
            if "nsfw" in said.lower() or "safety" in said.lower():
                raise ContentRefused(f"The model provider refused the content: {said}")
            raise ProviderUnavailable(f"The model provider failed: {said}")
        message = AIMessage(
            content=text_of(done.get("output")),
            usage_metadata=_usage(done.get("metrics")),
            response_metadata={"model_name": self.model},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of replicate; credential replicateApi."""
    model = text(config, "model")
    if not _NAME.fullmatch(model):
        raise RequestRefused("The field 'model' must be owner/name, or owner/name:version.")
    given = {
        "temperature": number(config, "temperature", least=0),
        "max_length": whole(config, "maxTokens"),
        "top_p": number(config, "topP", least=0),
        "repetition_penalty": number(config, "repetitionPenalty"),
    }
    made = ReplicateChat(
        model=model,
        api_key=SecretStr(key_of("replicate", config, credential, defaults) or "none"),
        base_url=place_of("replicate", config, defaults),
        inputs={**{name: value for name, value in given.items() if value is not None}, **_more(config)},
        timeout=seconds(config, defaults.timeout),
        retries=defaults.max_retries,
    )
    made._egress = defaults.egress
    return made


def prompt_of(messages: Sequence[BaseMessage]) -> str:
    """The messages as one text; a single question stands alone."""
    before = [str(message.text) for message in messages if isinstance(message, SystemMessage)]
    turns = [message for message in messages if not isinstance(message, SystemMessage)]
    if len(turns) == 1:
        return "\n\n".join([*before, str(turns[0].text)])
    told = [f"{'User' if isinstance(turn, HumanMessage) else 'Assistant'}: {turn.text}" for turn in turns]
    return "\n\n".join([*before, "\n".join([*told, "Assistant:"])])


def text_of(output: Any) -> str:
    """What a model made, as a text: pieces are put together, addresses stand in lines of their own.

    Raises `Malformed` for nothing."""
    if isinstance(output, str):
        return output
    if isinstance(output, Sequence) and output and all(isinstance(item, str) for item in output):
        addresses = all(item.startswith(("https://", "http://", "data:")) for item in output)
        return ("\n" if addresses else "").join(output)
    if isinstance(output, Mapping | Sequence) and output:
        return json.dumps(output, ensure_ascii=False)
    raise Malformed("The model provider's answer is empty.")


def _usage(metrics: Any) -> UsageMetadata | None:
    if not isinstance(metrics, Mapping):
        return None
    asked, answered = metrics.get("input_token_count"), metrics.get("output_token_count")
    if not isinstance(asked, int) or not isinstance(answered, int):
        return None
    return UsageMetadata(input_tokens=asked, output_tokens=answered, total_tokens=asked + answered)


def _more(config: Mapping[str, Any]) -> dict[str, Any]:
    given = config.get("additionalInputs")
    if not given:
        return {}
    try:
        found = parsed(given) if isinstance(given, str) else given
    except ValueError:
        found = None
    if not isinstance(found, Mapping):
        raise RequestRefused("The field 'additionalInputs' must be a JSON object.")
    return dict(found)
