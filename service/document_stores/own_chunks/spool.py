"""Reads chunks off a request, checks each, and writes them into a file of JSON Lines for the blob store.

A line holds `text`, `metadata`, and where they were given `id` and `vector` (32-bit floats, little-endian, in base64).
Where there are vectors, a last line holds `space`: the fingerprint of the embedding that they are from.
Equal chunks make equal bytes, so that sending them again is recognised.
"""

import base64
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from service.errors import TooLarge, Unprocessable
from service.json_text import MOST_VALUES, check_depth, read
from service.settings import Settings

IN_MEMORY = 8 * 1024 * 1024
"""Bytes kept in memory; more go into a file without a name."""

LONGEST_ID = 500

LONGEST_PLACE = 200
"""Characters of where something is wrong, in a message."""


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(IN_MEMORY)


@dataclass(slots=True)
class OwnChunks:
    """The checked chunks of one request. `stream` holds them as lines; close it, or use this as a context manager."""

    settings: Settings
    stream: IO[bytes] = field(default_factory=_spool)
    given: bool = False
    """Whether the request brought chunks, if only none of them."""
    count: int = 0
    dimension: int | None = None
    """Numbers of each vector that was given; None when there is none."""
    example: int = 0
    """Which chunk was the first with a vector."""
    ids: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stream.close()

    def take(self, elements: Iterator[Any]) -> None:
        """Check and keep these chunks. Raises `Unprocessable` and `TooLarge` naming chunk and field."""
        self.given = True
        for value in elements:
            if self.count == self.settings.max_request_chunks:
                raise TooLarge(f"max_request_chunks: more than {self.count} chunks in one request")
            line = self._checked(f"chunks[{self.count}]", value)
            self.stream.write(json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode())
            self.stream.write(b"\n")
            self.count += 1
        self.stream.seek(0)

    def check_dimension(self, dimension: int) -> None:
        """Raises `Unprocessable` when the vectors have another size than those of the document store."""
        if self.dimension is not None and self.dimension != dimension:
            raise Unprocessable(
                f"chunks[{self.example}].vector: has {self.dimension} numbers, the document store's vectors have"
                f" {dimension}"
            )

    def note_space(self, fingerprint: Mapping[str, Any]) -> None:
        """Say which space the vectors are from. Raises `Unprocessable` when its vectors have another size."""
        if self.dimension is not None:
            self.check_dimension(int(fingerprint["dimension"]))
            self.stream.seek(0, os.SEEK_END)
            self.stream.write(json.dumps({"space": dict(fingerprint)}, sort_keys=True).encode() + b"\n")
            self.stream.seek(0)

    def _checked(self, place: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Unprocessable(f"{place}: must be an object with pageContent")
        line: dict[str, Any] = {
            "text": self._text(f"{place}.pageContent", value.get("pageContent", value.get("text"))),
            "metadata": self._metadata(f"{place}.metadata", value.get("metadata")),
        }
        if (own := value.get("id")) is not None:
            line["id"] = self._id(f"{place}.id", own)
        if (vector := value.get("vector")) is not None:
            line["vector"] = base64.b64encode(self._vector(f"{place}.vector", vector)).decode()
        return line

    def _text(self, place: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise Unprocessable(f"{place}: must be a text that is not empty")
        if len(value) > self.settings.max_chunk_text:
            raise TooLarge(f"max_chunk_text: {place} has more than {self.settings.max_chunk_text} characters")
        storable(place, value)
        return value

    def _metadata(self, place: str, value: Any) -> Any:
        if isinstance(value, str):  # as the contract's chunk pages have it
            try:
                value = read(value or "{}", MOST_VALUES)
            except (ValueError, RecursionError):
                raise Unprocessable(f"{place}: must be an object") from None
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise Unprocessable(f"{place}: must be an object")
        try:
            check_depth(value)
        except ValueError as error:
            raise Unprocessable(f"{place}: {error}") from None
        storable(place, value)
        size = len(json.dumps(value, ensure_ascii=False).encode())
        if size > self.settings.max_metadata:
            raise TooLarge(f"max_metadata: {place} has {size} bytes, the limit is {self.settings.max_metadata}")
        return value

    def _id(self, place: str, value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_ID:
            raise Unprocessable(f"{place}: must be a text of 1 to {LONGEST_ID} characters")
        storable(place, value)
        if value in self.ids:
            raise Unprocessable(f"{place}: the same as that of chunks[{self.ids[value]}]")
        self.ids[value] = self.count
        return value

    def _vector(self, place: str, value: Any) -> bytes:
        if not isinstance(value, list) or not value or not set(map(type, value)) <= {int, float}:
            raise Unprocessable(f"{place}: must be a list of numbers")
        if self.dimension is None:
            self.dimension, self.example = len(value), self.count
        elif len(value) != self.dimension:
            raise Unprocessable(
                f"{place}: has {len(value)} numbers, the vector of chunks[{self.example}] has {self.dimension}"
            )
        try:
            with np.errstate(over="ignore"):
                numbers = np.array(value, np.float64).astype("<f4")
        except OverflowError:
            raise Unprocessable(f"{place}: holds a number that is too large") from None
        if not np.isfinite(numbers).all():
            raise Unprocessable(f"{place}: holds a number that is not finite or too large")
        if not numbers.any():
            raise Unprocessable(f"{place}: is all zeros")
        return numbers.tobytes()


def storable(place: str, value: Any) -> None:
    """Raises `Unprocessable`, naming the place, for JSON that Postgres cannot keep: NUL characters and halves of UTF-16
    pairs in texts, numbers that are not finite."""
    if (found := _unfit(value)) is not None:
        where, what = found
        raise Unprocessable(f"{place}{where[:LONGEST_PLACE]}: {what}")


def _unfit(value: Any) -> tuple[str, str] | None:
    """Where within the value something cannot be kept, and what. The place is told once there is one: to name every
    place on the way, below a long name, took the square of the time."""
    if isinstance(value, str):
        return _unfit_text(value)
    if isinstance(value, float):
        return ("", f"{value} is not a JSON number") if value - value != 0 else None
    if isinstance(value, Mapping):
        for key, item in value.items():
            found = _unfit_text(key) or _unfit(item)
            if found is not None:
                name = key[:LONGEST_PLACE].encode("ascii", "backslashreplace").decode()
                return f".{name}{found[0]}"[:LONGEST_PLACE], found[1]
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if (found := _unfit(item)) is not None:
                return f"[{number}]{found[0]}"[:LONGEST_PLACE], found[1]
    return None


def _unfit_text(value: str) -> tuple[str, str] | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "", "holds half a character, which cannot be stored"
    return ("", "holds a NUL character, which cannot be stored") if "\x00" in value else None
