"""Chat models of services that speak OpenAI's protocol: a class a node of Flowise, with its own fields."""

from pydantic import Field, field_validator

from service.chatflows.steps.chat_openai import ChatOpenAI, ChatOptions, CompatibleChat, ServerOptions, checked_url


class NamedModelOptions(ServerOptions):
    """Fields of a node that must name a model."""

    model_name: str = Field("", title="Model Name")


class OpenRouterOptions(NamedModelOptions):
    """Fields of the node."""

    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")


class LocalAIOptions(ChatOptions):
    """Fields of the node."""

    base_path: str = Field("", title="Base Path", description="URL of the server.")
    model_name: str = Field("", title="Model Name")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    timeout: float | None = Field(None, gt=0, title="Timeout", description="Milliseconds.")

    @field_validator("base_path")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class GroqOptions(ChatOptions):
    """Fields of the node."""

    model_name: str = Field("", title="Model Name")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")


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


class ChatOpenAICustom(ChatOpenAI):
    """Models that were tuned at OpenAI, or those of any server that speaks the same protocol."""

    label = "ChatOpenAI Custom"
    version = 4
    base_classes = ("ChatOpenAI Custom", "BaseChatModel", "BaseLanguageModel")


class ChatLocalAI(CompatibleChat):
    """Models of a LocalAI server."""

    label = "ChatLocalAI"
    version = 3
    base_classes = ("ChatLocalAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("localAIApi",)
    service = "localai"
    keyless = True
    Options = LocalAIOptions


class ChatOpenRouter(CompatibleChat):
    """Models of many providers by way of OpenRouter."""

    label = "ChatOpenRouter"
    base_classes = ("ChatOpenRouter", "BaseChatModel", "BaseLanguageModel")
    credential = ("openRouterApi",)
    service = "openrouter"
    Options = OpenRouterOptions


class GroqChat(CompatibleChat):
    """Models of Groq."""

    label = "GroqChat"
    version = 4
    base_classes = ("GroqChat", "BaseChatModel", "BaseLanguageModel")
    credential = ("groqApi",)
    service = "groq"
    Options = GroqOptions


class ChatMistralAI(CompatibleChat):
    """Models of Mistral."""

    label = "ChatMistralAI"
    version = 4
    base_classes = ("ChatMistralAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("mistralAIApi",)
    service = "mistral"
    Options = MistralOptions
