"""Chat models of Anthropic (extra `anthropic`)."""

from typing import ClassVar, Literal

from pydantic import Field

from service.chatflows.steps.base import StepOptions
from service.chatflows.steps.chat_openai import ChatOptions, ServiceChat


class AnthropicOptions(ChatOptions):
    """Fields of the node."""

    model_name: str = Field("claude-haiku-4-5", title="Model Name")
    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")
    extended_thinking: bool = Field(False, title="Extended Thinking")
    budget_tokens: int = Field(1024, ge=1024, title="Budget Tokens", description="What it may think with.")
    adaptive_thinking: bool = Field(False, title="Adaptive Thinking", description="The model chooses how much.")
    thinking_effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(None, title="Thinking Effort")
    max_tokens_to_sample: int | None = Field(None, ge=1, title="Max Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top P")
    top_k: int | None = Field(None, ge=1, title="Top K")


class ChatAnthropic(ServiceChat):
    """Models of Anthropic."""

    label = "ChatAnthropic"
    version: ClassVar[float] = 8
    base_classes: ClassVar[tuple[str, ...]] = ("ChatAnthropic", "BaseChatModel", "BaseLanguageModel")
    credential = ("anthropicApi",)
    service = "anthropic"
    Options: ClassVar[type[StepOptions]] = AnthropicOptions
