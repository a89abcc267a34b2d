"""The port to whoever seals secrets before they are written, and opens them when they are read."""

from typing import Any, Protocol
from uuid import UUID


class NotSealable(Exception):
    """This connection has no keys: nothing that may hold a secret is written over it."""


class Sealer(Protocol):
    """Seals for a workspace: what another workspace sealed does not open. Equal values are sealed equal, so that they
    may be compared where they lie. What was never sealed is opened to itself."""

    def seal(self, value: Any, workspace: UUID) -> Any:
        """A JSON value with its secrets sealed."""

    def open(self, value: Any, workspace: UUID) -> Any:
        """The JSON value again."""

    def seal_text(self, text: str, workspace: UUID) -> str:
        """The whole of a text, sealed."""

    def open_text(self, text: str, workspace: UUID) -> str:
        """The text again."""

    def seal_bytes(self, data: bytes, workspace: UUID) -> bytes:
        """The whole of a value, sealed."""

    def open_bytes(self, data: bytes, workspace: UUID) -> bytes:
        """The value again."""


class Keyless:
    """For tools that open a database without its keys: writing what may hold a secret is refused, and what was sealed
    is read as it lies."""

    def seal(self, value: Any, workspace: UUID) -> Any:
        """Raises `NotSealable`."""
        raise NotSealable("this connection to the database has no keys")

    def open(self, value: Any, workspace: UUID) -> Any:
        """The value as it lies."""
        return value

    def seal_text(self, text: str, workspace: UUID) -> str:
        """Raises `NotSealable`."""
        raise NotSealable("this connection to the database has no keys")

    def open_text(self, text: str, workspace: UUID) -> str:
        """The text as it lies."""
        return text

    def seal_bytes(self, data: bytes, workspace: UUID) -> bytes:
        """Raises `NotSealable`."""
        raise NotSealable("this connection to the database has no keys")

    def open_bytes(self, data: bytes, workspace: UUID) -> bytes:
        """The value as it lies."""
        return data
