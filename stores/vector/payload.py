"""What a point and a filter become in Qdrant: a payload and a condition, both plain JSON."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

from stores.vector.base import Point
from stores.vector.facts import AtLeast, AtMost, Every, Has, Lacks, Narrow, Some, narrowed, traits
from stores.vector.filters import Filter
from stores.vector.order import place
from stores.vector.points import decode, encode_metadata

ID, RECORD, PLACE, FACTS, BOUNDS = "id", "record", "place", "facts", "bounds"
"""The fields of a payload."""

NAMESPACE = UUID("6f0f5c0e-2f5b-5a53-9d0c-7d1f1c1a7b43")
"""What the ids of points are made from, with the port's ids."""


def point_key(key: str) -> str:
    """The id that a point has in Qdrant, which takes UUIDs and whole numbers only."""
    return str(uuid5(NAMESPACE, key))


def payload(point: Point) -> dict[str, Any]:
    """What is kept beside a vector. Raises `BadMetadata`."""
    record = encode_metadata(point.metadata)
    known = traits(point.metadata)
    bounds = {_plain(bound): value for bound, value in known.bounds.items()}
    return {ID: point.id, RECORD: record, PLACE: place(point.id), FACTS: list(known.facts), BOUNDS: bounds}


def id_of(record: Any) -> str:
    """The port's id of a point that Qdrant found."""
    return str(record.payload[ID])


def metadata_of(record: Any) -> dict[str, Any]:
    """The metadata of a point that Qdrant found."""
    return decode(record.payload[RECORD])


def vector_of(record: Any) -> NDArray[np.float32]:
    """The vector of a point that Qdrant found."""
    return np.asarray(record.vector, np.float32)


def condition(where: Filter) -> Mapping[str, Any] | None:
    """A condition that everything passes which passes `where`; None when there is none."""
    narrow = narrowed(where)
    return None if narrow is None else _words(narrow)


def _words(narrow: Narrow) -> dict[str, Any]:
    match narrow:
        case Has(facts):
            return {"must": [{"key": FACTS, "match": {"any": list(facts)}}]}
        case Lacks(facts):
            return {"must_not": [{"key": FACTS, "match": {"any": list(facts)}}]}
        case AtLeast(bound, value):
            return {"must": [{"key": f"{BOUNDS}.{_plain(bound)}", "range": {"gte": value}}]}
        case AtMost(bound, value):
            return {"must": [{"key": f"{BOUNDS}.{_plain(bound)}", "range": {"lte": value}}]}
        case Every(parts):
            return {"must": [_words(part) for part in parts]}
        case Some(parts):
            return {"should": [_words(part) for part in parts]}


def _plain(bound: str) -> str:
    """A bound's name without characters that mean something in the path of a payload's field."""
    return "b" + sha256(bound.encode()).hexdigest()[:24]
