"""How much of an archive is read at once. What an export writes stays within it; what goes beyond, an import refuses
before it takes the memory that it asks for."""

from dataclasses import dataclass
from typing import Self

from service.settings import Settings

MIB = 1024 * 1024

MANIFEST = MIB
"""Most bytes of a manifest: three times `MAX_CONFIG` and the rest; real ones have some kilobytes. It is read where
requests are served."""

DOCUMENT = 4 * MIB
"""Most bytes of a line of documents."""

CHUNKS = 32 * MIB
"""Most bytes of a part of the chunks, beside one more line. Small values take twenty times their bytes once read."""

VECTORS = 512 * MIB
"""Most bytes of a part of the vectors."""

MOST_IN_PART = 10_000
"""Chunks in one part."""

MOST_PARTS = 200_000

VALUES = 300_000
"""Most JSON values in a line that is long (`service.json_text`): more than two configurations can hold."""

DEEPER = 10
"""How much deeper values may be nested in a line than they were in the request that brought them."""

SUM = 200
"""Bytes of a member in `checksums.json`, at most."""

PLACES = 64 * 1024
"""What loaders say of a chunk: its file, title, headings, sheet and the like. Characters of what a chunk is indexed
under, bytes in its metadata."""

OWN_TIMES = 3
"""How much longer a blob of chunks may be than the request that brought them."""

JOINED = 3
"""The metadata of a chunk are joined from those of its call, its own, and of what names its source."""

ESCAPED = 12
"""Bytes of a character in JSON, at most: two escapes of six."""

CONTROL = 6
"""Bytes of a byte of text in JSON as it is written here, at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What depends on the settings."""

    metadata: int
    """Bytes of metadata, as JSON."""
    loader: int
    """Bytes of a line of loaders. A text that was typed in stands in it."""
    chunk: int
    """Bytes of a line of chunks."""
    content: int
    """Bytes of an uploaded file."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of an installation."""
        metadata = JOINED * settings.max_metadata + PLACES
        return cls(
            metadata=metadata,
            loader=CONTROL * settings.max_upload + DOCUMENT,
            chunk=ESCAPED * (settings.max_chunk_text + PLACES + metadata) + PLACES,
            content=max(settings.max_upload, OWN_TIMES * settings.max_request),
        )
