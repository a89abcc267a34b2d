"""The models that forms offer for a node. Any other name that its service knows may be written in their place."""

from collections.abc import Mapping

_OPENAI = (
    "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "o4-mini",
    "o3", "o3-mini",
)  # fmt: skip
_ANTHROPIC = ("claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5")
_MISTRAL = (
    "mistral-large-latest", "mistral-medium-latest", "mistral-small-latest", "ministral-8b-latest",
    "ministral-3b-latest", "open-mistral-nemo", "codestral-latest", "mistral-tiny",
)  # fmt: skip
_GOOGLE = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.0-flash")
_GROQ = (
    "llama-3.3-70b-versatile", "llama-3.1-8b-instant", "openai/gpt-oss-120b", "openai/gpt-oss-20b", "qwen/qwen3-32b",
)  # fmt: skip
_OPENAI_EMBEDDINGS = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002")
_COHERE_EMBEDDINGS = (
    "embed-v4.0", "embed-english-v3.0", "embed-multilingual-v3.0", "embed-english-light-v3.0", "embed-english-v2.0",
)  # fmt: skip

MODELS: Mapping[str, tuple[str, ...]] = {
    "azureChatOpenAI": _OPENAI,
    "azureChatOpenAI_LlamaIndex": _OPENAI,
    "azureOpenAI": _OPENAI,
    "chatAnthropic": _ANTHROPIC,
    "chatAnthropic_LlamaIndex": _ANTHROPIC,
    "chatGoogleGenerativeAI": _GOOGLE,
    "chatGroq_LlamaIndex": _GROQ,
    "chatMistralAI": _MISTRAL,
    "chatMistral_LlamaIndex": _MISTRAL,
    "chatOpenAI": _OPENAI,
    "chatOpenAI_LlamaIndex": _OPENAI,
    "cohereEmbeddings": _COHERE_EMBEDDINGS,
    "googleGenerativeAiEmbeddings": ("gemini-embedding-001", "text-embedding-004"),
    "groqChat": _GROQ,
    "mistralAIEmbeddings": ("mistral-embed", "codestral-embed"),
    "openAI": ("gpt-3.5-turbo-instruct", "davinci-002", "babbage-002"),
    "openAIEmbedding_LlamaIndex": _OPENAI_EMBEDDINGS,
    "openAIEmbeddings": _OPENAI_EMBEDDINGS,
    "voyageAIEmbeddings": ("voyage-3.5", "voyage-3.5-lite", "voyage-3-large", "voyage-code-3", "voyage-2"),
}
"""Node -> models of its service."""
