"""Memories that look at a part of a session. Wherever the node's product would keep the messages, they are kept
here."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Links
from service.chatflows.steps.buffer_memory import BufferMemory, BufferMemoryOptions
from service.chatflows.types import Role, Turn

MOST_TURNS = 10_000


class WindowOptions(BufferMemoryOptions):
    """Fields of the node."""

    k: int = Field(4, ge=0, le=MOST_TURNS, title="Size", description="Exchanges that the model sees.")


class RedisOptions(BufferMemoryOptions):
    """Fields of the node."""

    window_size: int | None = Field(
        None, ge=0, le=MOST_TURNS, title="Window Size", description="Exchanges that the model sees; empty: all."
    )


class ZepOptions(BufferMemoryOptions):
    """Fields of the node."""

    k: int = Field(10, ge=0, le=MOST_TURNS, title="Size", description="Exchanges that the model sees.")


class BufferWindowMemory(BufferMemory):
    """Remembers the last exchanges of the session."""

    label = "Buffer Window Memory"
    base_classes = ("BufferWindowMemory", "BaseChatMemory", "BaseMemory")
    Options: ClassVar[type[BufferMemoryOptions]] = WindowOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` hold the size as `k` or `window_size`, or neither."""
        super().__init__(node, options, links)
        self._size: int | None = getattr(options, "k", getattr(options, "window_size", None))

    async def recall(self, run: Run) -> Sequence[Turn]:
        """The turns since the question that the window begins with."""
        return run.history if self._size is None else last(run.history, self._size)


class RedisMemory(BufferWindowMemory):
    """Remembers the session, or its last exchanges; kept by this service."""

    label = "Redis-Backed Chat Memory"
    Options = RedisOptions


class UpstashMemory(BufferWindowMemory):
    """Remembers the session; kept by this service."""

    label = "Upstash Redis-Backed Chat Memory"
    Options = BufferMemoryOptions


class MongoMemory(BufferWindowMemory):
    """Remembers the session; kept by this service."""

    label = "MongoDB Atlas Chat Memory"
    version = 1
    Options = BufferMemoryOptions


class ZepMemory(BufferWindowMemory):
    """Remembers the last exchanges of the session; kept by this service."""

    label = "Zep Memory - Open Source"
    Options = ZepOptions


class DynamoMemory(BufferWindowMemory):
    """Remembers the session; kept by this service."""

    label = "DynamoDB Chat Memory"
    version = 1
    Options = BufferMemoryOptions


class ZepCloudMemory(BufferWindowMemory):
    """Remembers the session; kept by this service."""

    label = "Zep Memory - Cloud"
    Options = BufferMemoryOptions


class Mem0Memory(BufferWindowMemory):
    """Remembers the session; kept by this service."""

    label = "Mem0"
    version = 1
    Options = BufferMemoryOptions


def last(turns: Sequence[Turn], exchanges: int) -> Sequence[Turn]:
    """The end of a conversation, from its last but so many questions on."""
    if exchanges <= 0:
        return ()
    questions = [place for place, turn in enumerate(turns) if turn.role is Role.USER]
    return turns if len(questions) <= exchanges else turns[questions[-exchanges] :]
