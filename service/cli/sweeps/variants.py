"""Settings of cutting and embedding, as a copy of the document store has them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.cli.exits import UsageProblem
from service.cli.sweeps.trials import Trial

OWN_CHUNKS = "chunks"
"""The loader of chunks that callers cut themselves: no splitter cuts these."""

CUTTING = ("splitter", "chunk_size", "chunk_overlap")


def variant(store: Mapping[str, Any], index: Mapping[str, Any]) -> dict[str, Any]:
    """What a copy of a document store has otherwise, as `POST .../copy` takes it, by settings of cutting and embedding;
    empty for the document store as it is. Raises `UsageProblem` where it does not say what is to be cut how."""
    body: dict[str, Any] = {}
    if any(name in index for name in CUTTING):
        body["splitter"] = splitter(store, index)
    if "embedding" in index:
        body["embedding"] = dict(index["embedding"])
    return body


def splitter(store: Mapping[str, Any], index: Mapping[str, Any]) -> dict[str, Any]:
    """The splitter by these settings; what they leave open is as the loaders have it, if they agree."""
    kept = _agreed(store)
    name = index.get("splitter")
    if name is None and kept is None:
        raise UsageProblem(
            f"settings.splitter: the loaders of {store['name']!r} have different splitters: name the one to try"
        )
    config = dict(kept["config"]) if kept is not None and name in (None, kept["name"]) else {}
    config.pop("chunkOverlap" if "chunk_size" in index else "", None)  # of another size: the splitter's own share of it
    sizes = {"chunkSize": index.get("chunk_size"), "chunkOverlap": index.get("chunk_overlap")}
    config |= {field: value for field, value in sizes.items() if value is not None}
    return {"name": name or (kept["name"] if kept is not None else "default"), "config": config}


def different(store: Mapping[str, Any], trials: Sequence[Trial]) -> list[tuple[dict[str, Any], list[Trial]]]:
    """The copies that are needed, each with the trials that it is for; the document store as it is comes first, with an
    empty body. Those that are cut alike stand side by side, small chunks before large."""
    found: dict[str, tuple[dict[str, Any], list[Trial]]] = {}
    for trial in trials:
        body = variant(store, trial.index)
        found.setdefault(shown_whole(body), (body, []))[1].append(trial)
    return sorted(found.values(), key=lambda item: _order(item[0]))


def shown_whole(body: Mapping[str, Any]) -> str:
    """A body as a text that tells it from others."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def _order(body: Mapping[str, Any]) -> tuple[Any, ...]:
    cut = body.get("splitter") or {"name": "", "config": {}}
    config = cut["config"]
    return (shown_whole(body.get("embedding") or {}), cut["name"], _number(config, "chunkSize"), shown_whole(body))


def _number(config: Mapping[str, Any], field: str) -> float:
    try:
        return float(config.get(field) or 0)
    except (TypeError, ValueError):
        return 0.0


def _agreed(store: Mapping[str, Any]) -> dict[str, Any] | None:
    """The splitter that all loaders have; None: they have different ones."""
    found: list[dict[str, Any]] = []
    for loader in store["loaders"]:
        if loader["loaderId"] == OWN_CHUNKS:
            continue
        each = {"name": loader["splitterId"] or "default", "config": dict(loader["splitterConfig"] or {})}
        if each not in found:
            found.append(each)
    if len(found) > 1:
        return None
    return found[0] if found else {"name": "default", "config": {}}
