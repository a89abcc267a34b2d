"""Chat models of any OpenAI-compatible server."""

from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from pydantic import Field, Json, field_validator

from service.chatflows.graph import Node
from service.chatflows.steps.base import Backing, Links, ModelStep, StepOptions
from service.chatflows.types import FlowNotRunnable
from service.errors import NotFound
from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.errors import RequestRefused

OFFICIAL_HOST = "api.openai.com"


class MissingCredential(FlowNotRunnable):
    """A node needs a credential."""

    code = "missing_credential"


class ChatOpenAIOptions(StepOptions):
    """Fields of the node (contract b.4)."""

    model_name: str = Field("gpt-4o-mini", title="Model Name")
    temperature: float = Field(0.9, ge=0, le=2, title="Temperature")
    streaming: bool = Field(True, title="Streaming")
    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")
    reasoning: bool = Field(False, title="Reasoning")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, title="Reasoning Effort"
    )
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = Field(None, title="Reasoning Summary")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, title="Frequency Penalty")
    presence_penalty: float | None = Field(None, ge=-2, le=2, title="Presence Penalty")
    timeout: float | None = Field(None, gt=0, title="Timeout", description="Milliseconds.")
    strict_tool_calling: bool | None = Field(None, title="Strict Tool Calling")
    stop_sequence: str | None = Field(None, title="Stop Sequence", description="Separated by commas.")
    basepath: str = Field("", alias="basepath", title="BasePath", description="URL of an OpenAI-compatible server.")
    base_options: dict[str, Any] | Json[dict[str, Any]] | None = Field(None, title="BaseOptions")

    @field_validator("basepath")
    @classmethod
    def _is_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be an http(s) URL")
        return value


class ChatOpenAI(ModelStep):
    """OpenAI's chat models, or those of any server that speaks the same protocol."""

    label = "ChatOpenAI"
    version = 8.3
    base_classes = ("ChatOpenAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("openAIApi",)
    Options = ChatOpenAIOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ChatOpenAIOptions`."""
        super().__init__(node, options, links)
        self.options: ChatOpenAIOptions = options
        self._chat: BaseChatModel | None = None

    @property
    def chat(self) -> BaseChatModel:
        """The client, shared by all runs."""
        assert self._chat is not None, "prepare() makes it"
        return self._chat

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open the client. Raises `MissingCredential` when the node's credential is gone or none is at hand."""
        credential = await self._credential(workspace, backing)
        fields = self.options.model_dump(by_alias=True, exclude_none=True)
        try:
            self._chat = create_chat_model("chatOpenAI", fields, credential, defaults=backing.defaults)
        except RequestRefused as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._chat is not None:
            await close_chat_model(self._chat)

    async def _credential(self, workspace: UUID, backing: Backing) -> dict[str, str]:
        """The credential's values; none where the service's own key or a server without keys will do."""
        base_url = self.options.basepath or backing.defaults.openai_base_url
        if self.node.credential:
            try:
                host = urlsplit(base_url).hostname or OFFICIAL_HOST
                return dict(await backing.reveal(workspace, UUID(self.node.credential), host))
            except (NotFound, ValueError):
                missing = f"the credential '{self.node.credential}' does not exist here"
        else:
            missing = "no credential is chosen"
        own = backing.defaults.openai_api_key and self.options.basepath in ("", backing.defaults.openai_base_url)
        keyless = bool(base_url) and not self.node.credential
        if own or keyless:
            return {}
        raise MissingCredential(f"{self.title}: {missing}; save one of type openAIApi and choose it in the node")
