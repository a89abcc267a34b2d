"""OpenAI's chat models, and what the nodes of all services have in common that speak its protocol."""

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
from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.chat.services import place_of
from service.providers.errors import RequestRefused


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
    """A URL of a server, or an empty text. Raises `ValueError`."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("must be an http(s) URL")
    return value


class CompatibleChat(ModelStep):
    """A chat model of a service that speaks OpenAI's protocol."""

    service: ClassVar[str]
    """The service's row in `providers.chat.CHAT_MODELS`."""
    keyless: ClassVar[bool] = False
    """Whether the service may have no keys."""

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ChatOptions`."""
        super().__init__(node, options, links)
        self.options: ChatOptions = options
        self._chat: BaseChatModel | None = None

    @property
    def chat(self) -> BaseChatModel:
        """The client, shared by all runs."""
        assert self._chat is not None, "prepare() makes it"
        return self._chat

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open the client. Raises `MissingCredential` when the node's credential is gone or none is at hand."""
        fields = self.options.model_dump(by_alias=True, exclude_none=True)
        credential = await self._credential(workspace, backing, fields)
        try:
            self._chat = create_chat_model(self.service, fields, credential, defaults=backing.defaults)
        except RequestRefused as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._chat is not None:
            await close_chat_model(self._chat)

    async def _credential(self, workspace: UUID, backing: Backing, fields: Mapping[str, Any]) -> Mapping[str, str]:
        """The credential's values; none where the service's own key or a server without keys will do."""
        if self.node.credential:
            host = urlsplit(place_of(self.service, fields, backing.defaults)).hostname or ""
            return await revealed(self, workspace, backing, host)
        if self.keyless or self._does_without(fields, backing):
            return {}
        raise missing(self)

    def _does_without(self, fields: Mapping[str, Any], backing: Backing) -> bool:
        return False


class ChatOpenAI(CompatibleChat):
    """OpenAI's chat models, or those of any server that speaks the same protocol."""

    label = "ChatOpenAI"
    version = 8.3
    base_classes = ("ChatOpenAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("openAIApi",)
    service = "openai"
    Options = ChatOpenAIOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ChatOpenAIOptions`."""
        super().__init__(node, options, links)
        self.options: ChatOpenAIOptions = options

    def _does_without(self, fields: Mapping[str, Any], backing: Backing) -> bool:
        """The operator's own key goes to the operator's server only; other servers may have no keys."""
        place, defaults = fields.get("basepath", ""), backing.defaults
        return bool(place or defaults.openai_base_url or (defaults.openai_api_key and not place))
