"""Flowise's shape of a chunk's edit (contract 3.4)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from service.document_stores.wire import object_text
from service.http.wire import Body


def _metadata(value: object) -> object:
    """Metadata may come as chunks show them: as JSON text."""
    return object_text("metadata", value) if isinstance(value, str) else value


class ChunkBody(Body):
    """The new text of a chunk, and its new metadata; without them, it keeps those it has."""

    page_content: str = Field(examples=["Offices close at 18:00."])
    metadata: Annotated[dict[str, Any] | None, BeforeValidator(_metadata)] = Field(
        None, description="An object, or its JSON text, as chunks have it", examples=[{"source": "handbook.md"}]
    )
