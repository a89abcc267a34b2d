"""Embeds with models of an Ollama server."""

from collections.abc import Sequence
from typing import Any

from service.providers.embedding.base import TextKind
from service.providers.embedding.endpoint import EndpointEmbedder
from service.providers.options import flag, whole


class OllamaEmbedder(EndpointEmbedder):
    """The server's vectors. No credential."""

    name = "ollama"

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.place}/api/embed"

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request."""
        options = {
            "num_gpu": whole(self.config, "numGpu", least=0),
            "num_thread": whole(self.config, "numThread"),
            "use_mmap": None if flag(self.config, "useMMap", True) else False,
        }
        chosen = {name: value for name, value in options.items() if value is not None}
        return {"model": self.model, "input": list(texts), **({"options": chosen} if chosen else {})}

    def rows(self, answer: Any) -> list[Any]:
        """The vectors."""
        return list(answer["embeddings"])
