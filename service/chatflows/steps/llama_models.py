"""Flowise's LlamaIndex chat models: the same models as of the nodes without that name."""

from typing import Any, ClassVar

from pydantic import Field

from service.chatflows.steps.base import StepOptions
from service.chatflows.steps.chat_anthropic import AnthropicOptions, ChatAnthropic
from service.chatflows.steps.chat_azure import AzureChatOpenAI, AzureOptions
from service.chatflows.steps.chat_compatible import ChatMistralAI, ChatTogetherAI, GroqChat, MistralOptions
from service.chatflows.steps.chat_ollama import ChatOllama
from service.chatflows.steps.chat_openai import ChatOpenAI, ChatOpenAIOptions

BASE = "BaseChatModel_LlamaIndex"


DATED = {
    "claude-3-opus": "claude-3-opus-20240229",
    "claude-3-sonnet": "claude-3-sonnet-20240229",
    "claude-3-haiku": "claude-3-haiku-20240307",
    "claude-3-5-sonnet": "claude-3-5-sonnet-20240620",
    "claude-3-7-sonnet": "claude-3-7-sonnet-20250219",
    "claude-4-0-sonnet": "claude-sonnet-4-20250514",
    "claude-4-0-opus": "claude-opus-4-20250514",
    "claude-4-1-opus": "claude-opus-4-1-20250805",
}
"""Names of LlamaIndex that Anthropic does not know -> what LlamaIndex sends in their place."""


class LlamaOpenAIOptions(ChatOpenAIOptions):
    """Fields of the node, and those of chatOpenAI."""

    model_name: str = Field("gpt-3.5-turbo", title="Model Name")


class LlamaMistralOptions(MistralOptions):
    """Fields of the node, and those of chatMistralAI."""

    max_tokens_to_sample: int | None = Field(None, ge=1, title="Max Tokens")


class OpenAILlamaIndex(ChatOpenAI):
    """OpenAI's chat models, or those of any server that speaks the same protocol."""

    version = 2
    base_classes = ("ChatOpenAI", BASE)
    Options = LlamaOpenAIOptions


class AzureLlamaIndex(AzureChatOpenAI):
    """Models of OpenAI that are deployed in Azure."""

    version = 2
    base_classes = ("AzureChatOpenAI", BASE)
    Options: ClassVar[type[StepOptions]] = AzureOptions


class AnthropicLlamaIndex(ChatAnthropic):
    """Models of Anthropic."""

    version = 3
    base_classes = ("ChatAnthropic", BASE)
    Options: ClassVar[type[StepOptions]] = AnthropicOptions

    def fields(self) -> dict[str, Any]:
        """The model by the name that Anthropic has for it."""
        found = super().fields()
        return {**found, "modelName": DATED.get(found["modelName"], found["modelName"])}


class MistralLlamaIndex(ChatMistralAI):
    """Models of Mistral."""

    version = 1
    base_classes = ("ChatMistral", BASE)
    Options = LlamaMistralOptions

    def fields(self) -> dict[str, Any]:
        """The bound of the answer has another name here."""
        found = super().fields()
        longest = found.pop("maxTokensToSample", None)
        return found if longest is None else {**found, "maxOutputTokens": longest}


class GroqLlamaIndex(GroqChat):
    """Models of Groq."""

    version = 1
    base_classes = ("ChatGroq", BASE)


class OllamaLlamaIndex(ChatOllama):
    """Models of an Ollama server."""

    version = 1
    base_classes = ("ChatOllama", BASE)


class TogetherLlamaIndex(ChatTogetherAI):
    """Models of Together AI."""

    version = 1
    base_classes = ("ChatTogetherAI", BASE)
