"""Flowise's LLM nodes: models that once completed texts. Here each is asked by its service's chat interface."""

from typing import Any, ClassVar

from pydantic import Field, Json, field_validator

from service.chatflows.graph import Node
from service.chatflows.steps.base import BadOption, Links, StepOptions
from service.chatflows.steps.chat_azure import AzureChatOpenAI, AzureOptions
from service.chatflows.steps.chat_compatible import ChatCohere, CohereOptions, HuggingFaceOptions, PlainOptions
from service.chatflows.steps.chat_ollama import ChatOllama, OllamaOptions
from service.chatflows.steps.chat_openai import ChatOpenAI, ChatOpenAIOptions, ServiceChat

CATEGORY = "LLMs"
_BASES = ("BaseLLM", "BaseLanguageModel")

_COMPLETES = ("gpt-3.5-turbo-instruct", "davinci", "babbage", "text-", "curie", "ada")
"""What the names of OpenAI's models begin with that answer no chats."""


class LlmOpenAIOptions(ChatOpenAIOptions):
    """Fields of the node; `bestOf` and `batchSize` have no meaning for one answer."""

    temperature: float = Field(0.7, ge=0, le=2, title="Temperature")


class LlmHuggingFaceOptions(HuggingFaceOptions):
    """Fields of the node."""


class TogetherOptions(PlainOptions):
    """Fields of the node."""

    temperature: float = Field(0.7, ge=0, le=2, title="Temperature")
    top_k: int | None = Field(None, ge=1, title="Top K")
    top_p: float | None = Field(None, ge=0, le=1, title="Top P")
    repeat_penalty: float | None = Field(None, title="Repeat Penalty")
    stop: str | None = Field(None, title="Stop Sequence", description="Separated by commas.")


class ReplicateOptions(StepOptions):
    """Fields of the node."""

    model: str = Field("", title="Model", description="owner/name, or owner/name:version.")
    temperature: float | None = Field(None, ge=0, title="Temperature")
    max_tokens: int | None = Field(None, ge=1, title="Max Tokens")
    top_p: float | None = Field(None, ge=0, le=1, title="Top Probability")
    repetition_penalty: float | None = Field(None, title="Repetition Penalty")
    additional_inputs: dict[str, Any] | Json[dict[str, Any]] | None = Field(None, title="Additional Inputs")

    @field_validator("model")
    @classmethod
    def _stripped(cls, value: str) -> str:
        return value.strip()


class OpenAI(ChatOpenAI):
    """Models of OpenAI, or those of any server that speaks its chat protocol."""

    label = "OpenAI"
    category = CATEGORY
    version = 4
    base_classes = ("OpenAI", *_BASES)
    Options = LlmOpenAIOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `LlmOpenAIOptions`. Raises `BadOption` for a model that completes texts only."""
        super().__init__(node, options, links)
        name = str(options.model_name)
        if not options.basepath and name.startswith(_COMPLETES):
            raise BadOption(
                f"modelName: '{name}' completes texts and answers no chats; choose a chat model, such as gpt-4o-mini"
            )


class AzureOpenAI(AzureChatOpenAI):
    """Models of OpenAI that are deployed in Azure."""

    label = "Azure OpenAI"
    category = CATEGORY
    version = 4
    base_classes = ("AzureOpenAI", *_BASES)
    Options: ClassVar[type[StepOptions]] = AzureOptions


class Ollama(ChatOllama):
    """Models of an Ollama server."""

    label = "Ollama"
    category = CATEGORY
    version = 2.1
    base_classes = ("Ollama", *_BASES)
    Options: ClassVar[type[StepOptions]] = OllamaOptions


class HuggingFaceInference(ServiceChat):
    """Models by Hugging Face's router, or at an inference endpoint of one's own."""

    label = "HuggingFace Inference"
    category = CATEGORY
    version = 2
    base_classes = ("HuggingFaceInference", *_BASES)
    credential = ("huggingFaceApi",)
    service = "huggingface"
    Options = LlmHuggingFaceOptions


class Cohere(ChatCohere):
    """Models of Cohere, by the compatible interface of their service."""

    label = "Cohere"
    category = CATEGORY
    base_classes = ("Cohere", *_BASES)
    Options: ClassVar[type[StepOptions]] = CohereOptions


class Fireworks(ServiceChat):
    """Models of Fireworks AI."""

    label = "Fireworks"
    category = CATEGORY
    base_classes = ("Fireworks", *_BASES)
    credential = ("fireworksApi",)
    service = "fireworks"
    Options = PlainOptions


class Sambanova(ServiceChat):
    """Models of SambaNova."""

    label = "Sambanova"
    category = CATEGORY
    base_classes = ("Sambanova", *_BASES)
    credential = ("sambanovaApi",)
    service = "sambanova"
    Options = PlainOptions


class TogetherAI(ServiceChat):
    """Models of Together AI."""

    label = "TogetherAI"
    category = CATEGORY
    base_classes = ("TogetherAI", *_BASES)
    credential = ("togetherAIApi",)
    service = "together"
    Options = TogetherOptions


class Replicate(ServiceChat):
    """Models of Replicate; what a model of pictures makes is told as its address."""

    label = "Replicate"
    category = CATEGORY
    version = 2
    base_classes = ("Replicate", "BaseChatModel", *_BASES)
    credential = ("replicateApi",)
    service = "replicate"
    Options = ReplicateOptions
