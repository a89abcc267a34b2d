"""OpenAI's chat models, and what the nodes of all services have in common."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from pydantic import Field, Json, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Backing
from service.chatflows.steps.base import Links, ModelStep, StepOptions
from service.chatflows.steps.keys import missing, revealed
from service.chatflows.types import FlowNotRunnable
from service.providers.chat import create_chat_model, load
from service.providers.chat.base import close_chat_model
from service.providers.chat.services import place_of
from service.providers.errors import MissingLibrary, RequestRefused


class ChatOptions(StepOptions):
    """Fields that the node of every chat model has (contract b.4)."""

    temperature: float = Field(0.9, ge=0, le=2, title="Temperature")
    streaming: bool = Field(True, title="Streaming")


class ServerOptions(ChatOptions):
    """Fields of nodes that may say where the server is."""

    basepath: str = Field("", alias="basepath", title="BasePath", description="URL of an OpenAI-compatible server.")
    base_options: dict[str, Any] | Json[dict[str, Any]] | None = Field(None, title="BaseOptions")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, title="Frequency Penalty")
    presence_penalty: float | None = Field(None, ge=-2, le=2, title="Presence Penalty")
    timeout: float | None = Field(None, gt=0, title="Timeout", description="Milliseconds.")

    @field_validator("basepath")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class ChatOpenAIOptions(ServerOptions):
    """Fields of the node."""

    model_name: str = Field("gpt-4o-mini", title="Model Name")
    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")
    reasoning: bool = Field(False, title="Reasoning")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, title="Reasoning Effort"
    )
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = Field(None, title="Reasoning Summary")
    strict_tool_calling: bool | None = Field(None, title="Strict Tool Calling")
    stop_sequence: str | None = Field(None, title="Stop Sequence", description="Separated by commas.")


def checked_url(value: str) -> str:
    """A URL of a server, or an empty text; without blanks around it. Raises `ValueError`."""
    value = value.strip()
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("must be an http(s) URL")
    return value


class MissingExtra(FlowNotRunnable):
    """A node's model needs a library that is not installed.

    The message says how to get it."""

    status, code = 501, "missing_library"


class ServiceChat(ModelStep):
    """A chat model of a service."""

    service: ClassVar[str]
    """The service's row in `providers.chat.CHAT_MODELS`."""
    keyless: ClassVar[bool] = False
    """Whether the service may have no keys."""

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`."""
        super().__init__(node, options, links)
        self.options: StepOptions = options
        self._chat: BaseChatModel | None = None

    @property
    def chat(self) -> BaseChatModel:
        """The client, shared by all runs."""
        assert self._chat is not None, "prepare() makes it"
        return self._chat

    def fields(self) -> dict[str, Any]:
        """The node's fields by the names that its service's row reads."""
        return self.options.model_dump(by_alias=True, exclude_none=True)

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open the client. Raises `MissingCredential` when the node's credential is gone or none is at hand,
        `MissingExtra`, `FlowNotRunnable` for a field that its service cannot use."""
        fields = self.fields()
        try:
            await asyncio.to_thread(load, self.service)  # some libraries take two seconds of CPU to import
            credential = await self._credential(workspace, backing, fields)
            self._chat = create_chat_model(self.service, fields, credential, defaults=backing.defaults)
        except MissingLibrary as error:
            raise MissingExtra(f"{self.title}: {error.message}") from error
        except RequestRefused as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        chat, self._chat = self._chat, None
        if chat is not None:
            await close_chat_model(chat)

    async def _credential(self, workspace: UUID, backing: Backing, fields: Mapping[str, Any]) -> Mapping[str, str]:
        """The credential's values; none where the service's own key or a server without keys will do."""
        if self.node.credential:
            told = await self._told_by_credential(workspace, backing)
            place = place_of(self.service, fields, backing.defaults, told)
            return await revealed(self, workspace, backing, urlsplit(place).hostname or "")
        if self.keyless or self._does_without(fields, backing):
            return {}
        raise missing(self)

    async def _told_by_credential(self, workspace: UUID, backing: Backing) -> Mapping[str, str]:
        """What the credential says of where it is for."""
        return {}

    def _does_without(self, fields: Mapping[str, Any], backing: Backing) -> bool:
        """Whether the operator's own key for this service stands in: it is sent to the service itself alone."""
        defaults = backing.defaults
        itself = place_of(self.service, fields, defaults) == place_of(self.service, {}, defaults)
        return itself and bool(defaults.keys.get(self.service))


class ChatOpenAI(ServiceChat):
    """OpenAI's chat models, or those of any server that speaks the same protocol."""

    label = "ChatOpenAI"
    version: ClassVar[float] = 8.3
    base_classes: ClassVar[tuple[str, ...]] = ("ChatOpenAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("openAIApi",)
    service = "openai"
    Options: ClassVar[type[StepOptions]] = ChatOpenAIOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ChatOpenAIOptions`."""
        super().__init__(node, options, links)
        self.options: ChatOpenAIOptions = options

    def _does_without(self, fields: Mapping[str, Any], backing: Backing) -> bool:
        """The operator's own key goes to the operator's server only; other servers may have no keys."""
        place, defaults = fields.get("basepath", ""), backing.defaults
        return bool(place or defaults.openai_base_url or (defaults.openai_api_key and not place))
