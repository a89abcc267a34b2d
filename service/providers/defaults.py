"""What the service's settings say to providers where a flow does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.egress.client import Egress
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values a provider takes when neither the node's fields nor its credential give one."""

    timeout: float = 120.0
    """Seconds to wait for an answer."""
    max_retries: int = 2
    """How often a transient failure is tried again, pauses by `Retry-After` where given."""
    embedding: str = "auto"
    """The bundled embedder of document stores that name none; `auto`: by the language of their text."""
    embedding_model_path: Path | None = None
    """Folder of the local embedder's model; None: the bundled one."""
    embedding_threads: int = 0
    """Threads that embed; 0: one for each core."""
    openai_api_key: str = ""
    openai_base_url: str = ""
    """Of an OpenAI-compatible server; empty: OpenAI itself."""
    ollama_base_url: str = ""
    """Of an Ollama server; empty: the one that listens on this machine."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The operator's keys of other services, by the names of their rows; each goes to that service itself alone."""
    chat_model_path: Path | None = None
    """GGUF file of the local chat model."""
    rerank_model_path: Path | None = None
    """Folder of the cross-encoder that reranks."""
    egress: Egress = field(default_factory=Egress, compare=False)
    """The way to the providers' hosts. A base URL that a flow names reaches only what this lets pass."""


def defaults_from(settings: Settings, egress: Egress) -> Defaults:
    """What the settings say to providers."""
    return Defaults(
        timeout=settings.provider_timeout,
        embedding=settings.embedding,
        embedding_model_path=settings.embedding_model_path,
        embedding_threads=settings.embedding_threads,
        openai_api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "",
        openai_base_url=settings.openai_base_url,
        ollama_base_url=settings.ollama_base_url,
        keys=_keys(settings),
        chat_model_path=_local_model(settings),
        rerank_model_path=settings.rerank_model_path,
        egress=egress,
    )


def _keys(settings: Settings) -> Mapping[str, str]:
    given = {
        "anthropic": settings.anthropic_api_key,
        "google": settings.google_api_key,
        "groq": settings.groq_api_key,
        "mistral": settings.mistral_api_key,
        "openrouter": settings.openrouter_api_key,
    }
    return {name: key.get_secret_value() for name, key in given.items() if key}


def _local_model(settings: Settings) -> Path | None:
    """The GGUF file: RAGSTONE_LOCAL_MODEL, else the one in RAGSTONE_CHAT_MODEL."""
    provider, _, name = settings.chat_model.partition(":")
    return settings.local_model or (Path(name) if provider == "local" and name else None)
