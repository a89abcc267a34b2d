"""The whole of a session's messages, as they are stored."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Links, MemoryStep, StepOptions
from service.chatflows.types import Turn


class BufferMemoryOptions(StepOptions):
    """Fields of the node."""

    session_id: str = Field("", title="Session Id", description="One session for all callers; empty: the caller's.")
    memory_key: str = Field("chat_history", title="Memory Key")


class BufferMemory(MemoryStep):
    """Remembers every message of the session."""

    label = "Buffer Memory"
    version = 2
    base_classes = ("BufferMemory", "BaseChatMemory", "BaseMemory")
    Options = BufferMemoryOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `BufferMemoryOptions`."""
        super().__init__(node, options, links)
        self._options: BufferMemoryOptions = options

    @property
    def session(self) -> str:
        """The node's fixed session id, else empty."""
        return self._options.session_id

    async def recall(self, run: Run) -> Sequence[Turn]:
        """All turns."""
        return run.history
