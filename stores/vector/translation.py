"""Filters in Qdrant's own words, as the one grammar: flows that were built for Qdrant carry them."""

from collections.abc import Mapping, Sequence
from typing import Any

from stores.vector.filters import MAX_DEPTH, FilterError

CLAUSES = ("must", "should", "must_not")
RANGES = ("gt", "gte", "lt", "lte")
WORKS = f"use {', '.join(CLAUSES)} with match (value, any, except), range or is_empty, or the grammar of $eq and $in"


def from_qdrant(source: Mapping[str, Any], root: str = "metadata") -> dict[str, Any]:
    """The same filter for `parse`. Fields lie below `root`, as Qdrant's integrations keep metadata; one that is written
    in the grammar already is returned as it is.

    Raises `FilterError` naming the place of what has no meaning here: ids of points, places on the map, full text.
    """
    if not source or not any(clause in source for clause in CLAUSES):
        return dict(source)
    return _clauses(source, root, "", 1)


def _clauses(source: Mapping[str, Any], root: str, path: str, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise FilterError(path, f"is nested more than {MAX_DEPTH} levels deep", "write it flatter")
    if unknown := [name for name in source if name not in CLAUSES]:
        raise FilterError(f"{path}.{unknown[0]}", "has no meaning here", WORKS)
    parts: list[dict[str, Any]] = []
    for clause in CLAUSES:
        given = source.get(clause)
        listed = given if isinstance(given, list) else [given] if given else []
        found = [_condition(each, root, f"{path}.{clause}[{place}]", depth) for place, each in enumerate(listed)]
        if clause == "should" and found:
            parts.append({"$or": found})
        elif clause == "must_not":
            parts += [{"$not": each} for each in found]
        else:
            parts += found
    if not parts:
        return {}  # clauses that are empty let everything through
    return parts[0] if len(parts) == 1 else {"$and": parts}


def _condition(source: Any, root: str, path: str, depth: int) -> dict[str, Any]:
    if not isinstance(source, Mapping):
        raise FilterError(path, "must be an object", WORKS)
    if any(clause in source for clause in CLAUSES):
        return _clauses(source, root, path, depth + 1)
    match dict(source):
        case {"is_empty": {"key": str(key), **rest}, **more} if not rest and not more:
            return {_field(key, root): {"$exists": False}}
        case {"key": str(key), "match": Mapping() as wanted, **more} if not more and len(wanted) == 1:
            return {_field(key, root): _match(wanted, f"{path}.match")}
        case {"key": str(key), "range": Mapping() as bounds, **more} if not more and bounds:
            return {_field(key, root): _range(bounds, f"{path}.range")}
    raise FilterError(path, "has no meaning here", WORKS)


def _match(wanted: Mapping[str, Any], path: str) -> dict[str, Any]:
    match dict(wanted):
        case {"value": value}:
            return {"$eq": value}
        case {"any": Sequence() as values} if not isinstance(values, str):
            return {"$in": list(values)}
        case {"except": Sequence() as values} if not isinstance(values, str):
            return {"$nin": list(values), "$exists": True}
    raise FilterError(path, "has no meaning here", WORKS)


def _range(bounds: Mapping[str, Any], path: str) -> dict[str, Any]:
    if unknown := [name for name in bounds if name not in RANGES]:
        raise FilterError(f"{path}.{unknown[0]}", "has no meaning here", f"use {', '.join(RANGES)}")
    found = {f"${name}": value for name, value in bounds.items() if value is not None}
    if not found:
        raise FilterError(path, "is empty", f"use {', '.join(RANGES)}")
    return found


def _field(key: str, root: str) -> str:
    return key.removeprefix(f"{root}.").removesuffix("[]")
