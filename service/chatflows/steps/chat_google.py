"""Chat models of Google's Gemini API (extra `google`)."""

from typing import Any

from pydantic import Field, field_validator

from service.chatflows.steps.chat_openai import ChatOptions, ServiceChat, checked_url


class GoogleOptions(ChatOptions):
    """Fields of the node."""

    model_name: str = Field("gemini-2.5-flash", title="Model Name")
    custom_model_name: str = Field("", title="Custom Model Name", description="Takes the place of the name above.")
    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")
    thinking_budget: int | None = Field(None, ge=-1, title="Thinking Budget", description="Tokens; -1: as it likes.")
    thinking_level: str | None = Field(None, title="Thinking Level")
    max_output_tokens: int | None = Field(None, ge=1, title="Max Output Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    top_k: int | None = Field(None, ge=1, title="Top High Probability Tokens")
    safety_settings: list[dict[str, Any]] | str | None = Field(None, title="Safety Settings")
    base_url: str = Field("", title="Base URL")

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class ChatGoogleGenerativeAI(ServiceChat):
    """Gemini models of Google."""

    label = "ChatGoogleGenerativeAI"
    version = 3.1
    base_classes = ("ChatGoogleGenerativeAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("googleGenerativeAI",)
    service = "google"
    Options = GoogleOptions
