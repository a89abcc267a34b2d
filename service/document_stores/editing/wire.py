"""Flowise's shape of a chunk's edit (contract 3.4)."""

from typing import Any

from pydantic import Field

from service.http.wire import Body


class ChunkBody(Body):
    """The new text of a chunk, and its new metadata; without them, it keeps those it has."""

    page_content: str = Field(examples=["Offices close at 18:00."])
    metadata: dict[str, Any] | None = Field(None, examples=[{"source": "handbook.md"}])
