"""The port of speech to text."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sound:
    """What somebody said. `name` ends with the suffix that fits `mime`, the type by content: services go by it."""

    content: bytes
    name: str
    mime: str


class Transcriber(ABC):
    """Writes down what is said in a sound. One call at a time; close it."""

    @abstractmethod
    async def transcribe(self, sound: Sound) -> str:
        """The words, without white space around them; empty where nobody speaks. Raises `ProviderError`. A cancelled
        call ends its request."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections."""
