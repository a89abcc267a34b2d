"""Answers without a provider: quoted sentences, or a GGUF model on this machine."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Backing
from service.chatflows.steps.base import Links, ModelStep, StepOptions
from service.chatflows.types import FlowNotRunnable
from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.errors import ProviderError


class Mode(StrEnum):
    """How the step answers."""

    EXTRACTIVE = "extractive"
    GGUF = "gguf"


class ChatLocalOptions(StepOptions):
    """Fields of the node, which is ours."""

    mode: Mode = Field(Mode.EXTRACTIVE, title="Mode", description="extractive: quotes sentences; gguf: a model.")
    model_path: str = Field("", title="Model Path", description="Empty, or the GGUF file of RAGSTONE_LOCAL_MODEL.")
    temperature: float = Field(0.0, ge=0, le=2, title="Temperature")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")
    streaming: bool = Field(True, title="Streaming")


class ChatLocal(ModelStep):
    """Quotes the sentences that answer, or runs a small model on this machine."""

    label = "Local Answers"
    base_classes = ("ChatLocal", "BaseChatModel", "BaseLanguageModel")
    Options = ChatLocalOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ChatLocalOptions`."""
        super().__init__(node, options, links)
        self.options: ChatLocalOptions = options
        self._chat: BaseChatModel | None = None

    @property
    def quotes(self) -> bool:
        """True in extractive mode."""
        return self.options.mode is Mode.EXTRACTIVE

    @property
    def chat(self) -> BaseChatModel:
        """The GGUF model, shared by all runs."""
        assert self._chat is not None, "prepare() makes it, in gguf mode"
        return self._chat

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open the model in gguf mode. Raises `FlowNotRunnable` when its file or library is missing."""
        if self.quotes:
            return
        fields = self.options.model_dump(by_alias=True, exclude_none=True, exclude={"mode"})
        try:
            self._chat = create_chat_model("chatLocal", fields, defaults=backing.defaults)
        except ProviderError as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    async def close(self) -> None:
        """Give back the model's memory."""
        if self._chat is not None:
            await close_chat_model(self._chat)
