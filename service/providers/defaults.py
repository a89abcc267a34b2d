"""What the service's settings say to providers where a flow does not."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values a provider takes when neither the node's fields nor its credential give one."""

    timeout: float = 120.0
    """Seconds to wait for an answer."""
    max_retries: int = 2
    """How often a transient failure is tried again, pauses by `Retry-After` where given."""
    embedding_model_path: Path | None = None
    """Folder of the local embedder's model; None: the bundled one."""
    embedding_threads: int = 0
    """Threads that embed; 0: one for each core."""
    openai_api_key: str = ""
    openai_base_url: str = ""
    """Of an OpenAI-compatible server; empty: OpenAI itself."""
    chat_model_path: Path | None = None
    """GGUF file of the local chat model."""
