"""Chat models of an Ollama server (extra `ollama`)."""

from typing import ClassVar

from pydantic import Field, field_validator

from service.chatflows.steps.base import StepOptions
from service.chatflows.steps.chat_openai import ChatOptions, ServiceChat, checked_url


class OllamaOptions(ChatOptions):
    """Fields of the node."""

    base_url: str = Field(
        "", title="Base URL", description="Empty: RAGSTONE_OLLAMA_BASE_URL, else the server on this machine."
    )
    model_name: str = Field("", title="Model Name")
    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")
    think: bool = Field(False, title="Think", description="Tell what the model thinks before it answers.")
    json_mode: bool = Field(False, title="JSON Mode")
    keep_alive: str = Field("5m", title="Keep Alive", description="How long the server keeps the model loaded.")
    top_p: float | None = Field(None, ge=0, le=1, title="Top P")
    top_k: int | None = Field(None, ge=0, title="Top K")
    mirostat: int | None = Field(None, ge=0, le=2, title="Mirostat")
    mirostat_eta: float | None = Field(None, title="Mirostat ETA")
    mirostat_tau: float | None = Field(None, title="Mirostat TAU")
    num_ctx: int | None = Field(None, ge=1, title="Context Window Size")
    num_gpu: int | None = Field(None, ge=0, title="Number of GPU")
    num_thread: int | None = Field(None, ge=1, title="Number of Thread")
    repeat_last_n: int | None = Field(None, ge=-1, title="Repeat Last N")
    repeat_penalty: float | None = Field(None, title="Repeat Penalty")
    stop: str | None = Field(None, title="Stop Sequence", description="Separated by commas.")
    tfs_z: float | None = Field(None, title="Tail Free Sampling")

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class ChatOllama(ServiceChat):
    """Models of an Ollama server."""

    label = "ChatOllama"
    version: ClassVar[float] = 5
    base_classes: ClassVar[tuple[str, ...]] = ("ChatOllama", "BaseChatModel", "BaseLanguageModel")
    credential = ("ollamaApi",)
    service = "ollama"
    keyless = True
    Options: ClassVar[type[StepOptions]] = OllamaOptions
