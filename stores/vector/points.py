"""What every backend checks and encodes before it writes: vectors become unit rows, metadata become JSON text."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.vector.base import BadMetadata, Metadata, NotFinite, Point, Vector, WrongDimension

COLLECTION_NAME = re.compile(r"[a-z0-9_]{3,40}")
"""What a collection may be called; names are made by the server, so another one is a bug and not a caller's fault."""

_WIDE_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?e\+\d+')


def checked_name(collection: str) -> str:
    """The name itself. Raises `ValueError` for one that the port does not allow."""
    if not COLLECTION_NAME.fullmatch(collection):
        raise ValueError(f"{collection!r} is no collection name")
    return collection


def unit(vector: Vector, dimension: int) -> NDArray[np.float32]:
    """The vector scaled to length one. Raises `WrongDimension` and `NotFinite`."""
    row: NDArray[np.float32] = _unit_rows([vector], dimension)[0]
    return row


def unit_rows(points: Sequence[Point], dimension: int) -> NDArray[np.float32]:
    """One row of length one per point, shape (points, dimension). Raises `WrongDimension` and `NotFinite`."""
    return _unit_rows([point.vector for point in points], dimension)


def _unit_rows(vectors: Sequence[Vector], dimension: int) -> NDArray[np.float32]:
    for vector in vectors:
        if np.shape(vector) != (dimension,):
            raise WrongDimension(f"a vector has the shape {np.shape(vector)}, the collection holds ({dimension},)")
    rows = np.asarray(vectors, dtype=np.float64).reshape(len(vectors), dimension)
    # Divided by the largest element first, so that squaring neither overflows nor underflows.
    peak = np.abs(rows).max(axis=1, initial=0.0, keepdims=True)
    if not np.isfinite(peak).all():
        raise NotFinite("a vector holds NaN or an infinity")
    if not peak.all():
        raise NotFinite("a vector is all zeros, so it has no direction to compare")
    rows = rows / peak
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def encode(value: object) -> str:
    """JSON text that Postgres' `jsonb` gives back with the same types. Raises `BadMetadata`.

    `jsonb` keeps numbers as decimals, so a float written with an exponent (1e+20) would come back as an integer: such
    floats are written out in full.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError) as problem:
        raise BadMetadata(f"metadata cannot be kept: {problem}") from problem
    if "\\u0000" in text and "\0" in _strings(value):
        raise BadMetadata("metadata cannot be kept: a string holds NUL")
    return _WIDE_NUMBER.sub(_written_out, text) if "e+" in text else text


def encode_metadata(metadata: Metadata) -> str:
    """`encode` for a point's metadata, which must be an object whose keys are strings at every level."""
    if not isinstance(metadata, Mapping):
        raise BadMetadata(f"metadata must be an object, not {type(metadata).__name__}")
    plain = dict(metadata)
    text = encode(plain)
    if not _faithful(plain):
        raise BadMetadata("metadata cannot be kept: a key is no string, or a value is no JSON type")
    return text


def decode(text: str) -> dict[str, Any]:
    """The metadata that `encode_metadata` wrote."""
    metadata: dict[str, Any] = json.loads(text)
    return metadata


def ranked(scores: Mapping[str, float], limit: int) -> list[str]:
    """The `limit` best ids: highest score first, equal scores by id."""
    return sorted(scores, key=lambda key: (-scores[key], key))[: max(limit, 0)]


def bounded(score: float) -> float:
    """The score within [-1, 1], which rounding may leave by a hair."""
    return min(1.0, max(-1.0, score))


def _written_out(match: re.Match[str]) -> str:
    text = match.group()
    return text if text.startswith('"') else f"{float(text):.1f}"


def _strings(value: object) -> str:
    """All text in a value in a row, to look for a character."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "".join(_strings(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return "".join(map(_strings, value))
    return ""


def _faithful(value: object) -> bool:
    """Whether JSON keeps the value as it is: no tuples, no keys of other types, no subclasses that would be lost."""
    kind = type(value)
    if isinstance(value, dict):
        return all(type(key) is str and _faithful(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_faithful, value))
    return kind in (str, int, bool) or value is None or (isinstance(value, float) and math.isfinite(value))
