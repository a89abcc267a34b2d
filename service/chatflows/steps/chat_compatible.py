"""Chat models of services that speak OpenAI's protocol: a class a node of Flowise, with its own fields."""

from typing import Any, ClassVar

from pydantic import Field, field_validator

from service.chatflows.steps.base import StepOptions
from service.chatflows.steps.chat_openai import ChatOpenAI, ChatOptions, ServerOptions, ServiceChat, checked_url


class NamedModelOptions(ServerOptions):
    """Fields of a node that must name a model."""

    model_name: str = Field("", title="Model Name")


class OpenRouterOptions(NamedModelOptions):
    """Fields of the node."""

    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")


class PlainOptions(ChatOptions):
    """Fields of nodes that name a model and little else."""

    model_name: str = Field("", title="Model Name")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")


class LocalAIOptions(PlainOptions):
    """Fields of the node."""

    base_path: str = Field("", title="Base Path", description="URL of the server.")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    timeout: float | None = Field(None, gt=0, title="Timeout", description="Milliseconds.")

    @field_validator("base_path")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class LitellmOptions(LocalAIOptions):
    """Fields of the node."""

    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")


class XaiOptions(PlainOptions):
    """Fields of the node."""

    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")


class MistralOptions(ChatOptions):
    """Fields of the node."""

    model_name: str = Field("mistral-tiny", title="Model Name")
    max_output_tokens: int | None = Field(None, ge=1, title="Max Output Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    random_seed: int | None = Field(None, ge=0, title="Random Seed")
    safe_mode: bool = Field(False, title="Safe Mode")
    override_endpoint: str = Field("", title="Override Endpoint", description="URL of another server.")

    @field_validator("override_endpoint")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class NvidiaOptions(LocalAIOptions):
    """Fields of the node."""

    frequency_penalty: float | None = Field(None, ge=-2, le=2, title="Frequency Penalty")
    presence_penalty: float | None = Field(None, ge=-2, le=2, title="Presence Penalty")
    base_options: dict[str, Any] | str | None = Field(None, title="BaseOptions")


class PenaltyOptions(PlainOptions):
    """Fields of nodes with penalties and headers, at one place."""

    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, title="Frequency Penalty")
    presence_penalty: float | None = Field(None, ge=-2, le=2, title="Presence Penalty")
    timeout: float | None = Field(None, gt=0, title="Timeout", description="Milliseconds.")
    base_options: dict[str, Any] | str | None = Field(None, title="BaseOptions")


class DeepseekOptions(PenaltyOptions):
    """Fields of the node."""

    model_name: str = Field("deepseek-chat", title="Model Name")
    temperature: float = Field(0.7, ge=0, le=2, title="Temperature")
    stop_sequence: str | None = Field(None, title="Stop Sequence", description="Separated by commas.")
    thinking: bool = Field(False, title="Thinking")


class CometOptions(PenaltyOptions):
    """Fields of the node."""

    model_name: str = Field("gpt-5-mini", title="Model Name")
    temperature: float = Field(0.7, ge=0, le=2, title="Temperature")


class CerebrasOptions(NamedModelOptions):
    """Fields of the node."""

    model_name: str = Field("llama3.1-8b", title="Model Name")


class SambanovaOptions(NamedModelOptions):
    """Fields of the node."""

    model_name: str = Field("Meta-Llama-3.3-70B-Instruct", title="Model Name")

    @field_validator("basepath", mode="before")
    @classmethod
    def _is_misspelt(cls, value: Any) -> Any:
        """Flowise's own default lacks a letter, and stands so in its exports."""
        return f"https{value.removeprefix('htps')}" if isinstance(value, str) and value.startswith("htps:") else value


class PerplexityOptions(ChatOptions):
    """Fields of the node."""

    model: str = Field("sonar", title="Model Name")
    temperature: float = Field(1.0, ge=0, le=2, title="Temperature")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    presence_penalty: float | None = Field(None, ge=-2, le=2, title="Presence Penalty")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, title="Frequency Penalty")
    timeout: float | None = Field(None, gt=0, title="Timeout", description="Milliseconds.")


class HuggingFaceOptions(StepOptions):
    """Fields of the node."""

    model: str = Field("", title="Model", description="Leave it empty for an endpoint of your own.")
    endpoint: str = Field("", title="Endpoint", description="URL of an inference endpoint of your own.")
    temperature: float | None = Field(None, ge=0, le=2, title="Temperature")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    hf_top_k: int | None = Field(None, ge=1, title="Top K")
    frequency_penalty: float | None = Field(None, ge=-2, le=2, title="Frequency Penalty")
    stop: str | None = Field(None, title="Stop Sequence", description="Separated by commas.")
    streaming: bool = Field(True, title="Streaming")

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class CloudflareOptions(StepOptions):
    """Fields of the node."""

    model: str = Field("@cf/meta/llama-3.1-8b-instruct-fast", title="Model")
    base_url: str = Field("", title="Base URL")
    streaming: bool = Field(True, title="Streaming")

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class CohereOptions(PlainOptions):
    """Fields of the node."""

    model_name: str = Field("command-r7b-12-2024", title="Model Name")
    temperature: float = Field(0.7, ge=0, le=2, title="Temperature")


class ChatOpenAICustom(ChatOpenAI):
    """Models that were tuned at OpenAI, or those of any server that speaks the same protocol."""

    label = "ChatOpenAI Custom"
    version = 4
    base_classes = ("ChatOpenAI Custom", "BaseChatModel", "BaseLanguageModel")


class ChatLocalAI(ServiceChat):
    """Models of a LocalAI server."""

    label = "ChatLocalAI"
    version = 3
    base_classes = ("ChatLocalAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("localAIApi",)
    service = "localai"
    keyless = True
    Options = LocalAIOptions


class ChatLitellm(ServiceChat):
    """Models behind a LiteLLM proxy."""

    label = "ChatLitellm"
    version = 2
    base_classes = ("ChatLitellm", "BaseChatModel", "BaseLanguageModel")
    credential = ("litellmApi",)
    service = "litellm"
    keyless = True
    Options = LitellmOptions


class ChatNvidiaNIM(ServiceChat):
    """Models of NVIDIA's catalogue, or of a NIM server of one's own."""

    label = "Chat NVIDIA NIM"
    version = 1.1
    base_classes = ("Chat NVIDIA NIM", "BaseChatModel", "BaseLanguageModel")
    credential = ("nvidiaNIMApi",)
    service = "nvidia"
    Options = NvidiaOptions

    def _does_without(self, fields: Any, backing: Any) -> bool:
        """A server of one's own may have no keys."""
        return bool(fields.get("basePath")) or super()._does_without(fields, backing)


class ChatOpenRouter(ServiceChat):
    """Models of many providers by way of OpenRouter."""

    label = "ChatOpenRouter"
    base_classes = ("ChatOpenRouter", "BaseChatModel", "BaseLanguageModel")
    credential = ("openRouterApi",)
    service = "openrouter"
    Options = OpenRouterOptions


class GroqChat(ServiceChat):
    """Models of Groq."""

    label = "GroqChat"
    version: ClassVar[float] = 4
    base_classes: ClassVar[tuple[str, ...]] = ("GroqChat", "BaseChatModel", "BaseLanguageModel")
    credential = ("groqApi",)
    service = "groq"
    Options: ClassVar[type[StepOptions]] = PlainOptions


class ChatMistralAI(ServiceChat):
    """Models of Mistral."""

    label = "ChatMistralAI"
    version: ClassVar[float] = 4
    base_classes: ClassVar[tuple[str, ...]] = ("ChatMistralAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("mistralAIApi",)
    service = "mistral"
    Options: ClassVar[type[StepOptions]] = MistralOptions


class ChatTogetherAI(ServiceChat):
    """Models of Together AI."""

    label = "ChatTogetherAI"
    version: ClassVar[float] = 2
    base_classes: ClassVar[tuple[str, ...]] = ("ChatTogetherAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("togetherAIApi",)
    service = "together"
    Options: ClassVar[type[StepOptions]] = PlainOptions


class ChatFireworks(ServiceChat):
    """Models of Fireworks AI."""

    label = "ChatFireworks"
    version = 2
    base_classes = ("ChatFireworks", "BaseChatModel", "BaseLanguageModel")
    credential = ("fireworksApi",)
    service = "fireworks"
    Options = PlainOptions


class ChatPerplexity(ServiceChat):
    """Models of Perplexity, which search the web."""

    label = "ChatPerplexity"
    version = 0.1
    base_classes = ("ChatPerplexity", "BaseChatModel", "BaseLanguageModel")
    credential = ("perplexityApi",)
    service = "perplexity"
    Options = PerplexityOptions


class ChatDeepseek(ServiceChat):
    """Models of DeepSeek."""

    label = "ChatDeepseek"
    base_classes = ("chatDeepseek", "BaseChatModel", "BaseLanguageModel")
    credential = ("deepseekApi",)
    service = "deepseek"
    Options = DeepseekOptions


class ChatXAI(ServiceChat):
    """Models of xAI."""

    label = "ChatXAI"
    version = 2
    base_classes = ("ChatXAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("xaiApi",)
    service = "xai"
    Options = XaiOptions


class ChatCerebras(ServiceChat):
    """Models of Cerebras."""

    label = "ChatCerebras"
    version = 3
    base_classes = ("ChatCerebras", "BaseChatModel", "BaseLanguageModel")
    credential = ("cerebrasAIApi",)
    service = "cerebras"
    Options = CerebrasOptions


class ChatSambanova(ServiceChat):
    """Models of SambaNova."""

    label = "ChatSambanova"
    base_classes = ("ChatSambanova", "BaseChatModel", "BaseLanguageModel")
    credential = ("sambanovaApi",)
    service = "sambanova"
    Options = SambanovaOptions


class ChatCometAPI(ServiceChat):
    """Models of many providers by way of CometAPI."""

    label = "ChatCometAPI"
    base_classes = ("ChatCometAPI", "BaseChatModel", "BaseLanguageModel")
    credential = ("cometApi",)
    service = "comet"
    Options = CometOptions


class ChatAlibabaTongyi(ServiceChat):
    """Models of Alibaba's Tongyi, by the compatible mode of their service."""

    label = "ChatAlibabaTongyi"
    version = 2
    base_classes = ("ChatAlibabaTongyi", "BaseChatModel", "BaseLanguageModel")
    credential = ("AlibabaApi",)
    service = "alibaba"
    Options = PlainOptions


class ChatCohere(ServiceChat):
    """Models of Cohere, by the compatible interface of their service."""

    label = "ChatCohere"
    version: ClassVar[float] = 3
    base_classes: ClassVar[tuple[str, ...]] = ("ChatCohere", "BaseChatModel", "BaseLanguageModel")
    credential = ("cohereApi",)
    service = "cohere"
    Options: ClassVar[type[StepOptions]] = CohereOptions


class ChatHuggingFace(ServiceChat):
    """Models by Hugging Face's router, or at an inference endpoint of one's own."""

    label = "ChatHuggingFace"
    version = 3
    base_classes = ("ChatHuggingFace", "BaseChatModel", "BaseLanguageModel")
    credential = ("huggingFaceApi",)
    service = "huggingface"
    Options = HuggingFaceOptions


class ChatCloudflareWorkersAI(ServiceChat):
    """Models of Cloudflare's Workers AI."""

    label = "ChatCloudflareWorkersAI"
    base_classes = ("ChatCloudflareWorkersAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("cloudflareApi",)
    service = "cloudflare"
    Options = CloudflareOptions
