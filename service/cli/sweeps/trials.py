"""Which settings are tried: all combinations, or a random sample of them, without those that come to the same."""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.cli.exits import UsageProblem
from service.cli.sweeps.spec import Sweep

INDEX = ("splitter", "chunk_size", "chunk_overlap", "embedding")
"""Settings that need the documents to be cut or embedded again."""
STAGES = ("strategy", "weight", "rerank", "mmr", "threshold")
"""Settings that make a pipeline."""
QUERY = ("k", *STAGES, "retrieval")

DRAWN = 50
"""Combinations that are drawn for each trial at most: some come to the same."""

LONGEST_VALUE = 40
LONGEST_LABEL = 190

NOW = "as it is now"


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that are tried together. Those that are not named are as they are now."""

    number: int
    """From 1; 0 is what is there now."""
    settings: Mapping[str, Any]

    @property
    def index(self) -> dict[str, Any]:
        """The settings by which documents are cut and embedded."""
        return {name: self.settings[name] for name in INDEX if name in self.settings}

    @property
    def query(self) -> dict[str, Any]:
        """The settings by which passages are found."""
        return {name: self.settings[name] for name in QUERY if name in self.settings}

    @property
    def flow(self) -> dict[str, Any]:
        """The settings of a flow's nodes."""
        return {name: value for name, value in self.settings.items() if name not in (*INDEX, *QUERY)}

    @property
    def label(self) -> str:
        """How results call it."""
        text = f"#{self.number} {told(self.settings)}"
        return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is tried, what is there now first; of how many combinations, and how many of those make no sense."""

    trials: Sequence[Trial]
    combinations: int
    impossible: int
    sampled: bool


def trials_of(sweep: Sweep) -> Chosen:
    """The trials of a sweep: the same file, the same trials. Raises `UsageProblem` when nothing is left to try."""
    lists = sweep.settings.lists()
    total = math.prod(len(values) for values in lists.values())
    sampled = sweep.sample == "random" or total > sweep.max_trials
    found: dict[str, dict[str, Any]] = {}
    impossible = 0
    now = _key({})
    for place in _places(total, sweep.max_trials, sweep.seed, sampled=sampled):
        settings = plain(_combination(lists, place))
        if not possible(settings):
            impossible += 1
        elif _key(settings) != now:
            found.setdefault(_key(settings), settings)
        if len(found) == sweep.max_trials:
            break
    if not found:
        raise UsageProblem("settings: no combination is another one than what is there now, and makes sense")
    trials = [Trial(0, {}), *(Trial(number, settings) for number, settings in enumerate(found.values(), 1))]
    return Chosen(trials, total, impossible, sampled)


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without those that say nothing: null, and what has no effect beside the others."""
    kept = {name: value for name, value in settings.items() if value is not None}
    if "retrieval" in kept:
        return {name: value for name, value in kept.items() if name not in STAGES}
    if kept.get("strategy", "hybrid") != "hybrid":
        kept.pop("weight", None)
    return kept


def possible(settings: Mapping[str, Any]) -> bool:
    """Whether the settings can stand together."""
    size, overlap = settings.get("chunk_size"), settings.get("chunk_overlap")
    return size is None or overlap is None or overlap < size


def pipeline(settings: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The stages of a search by these settings, as the HTTP surface takes them; None: nothing is said of them."""
    if "retrieval" in settings:
        return list(settings["retrieval"])
    if not any(name in settings for name in STAGES):
        return None
    search: dict[str, Any] = {"name": settings.get("strategy", "hybrid")}
    if "weight" in settings:
        search["weight"] = settings["weight"]
    stages = [search]
    rerank, mmr, threshold = (settings.get(name, False) for name in ("rerank", "mmr", "threshold"))
    if rerank is not False:
        stages.append({"name": "rerank", **(rerank if isinstance(rerank, Mapping) else {"provider": rerank})})
    if mmr is not False:
        stages.append({"name": "mmr", "lambda": mmr})
    if threshold is not False:
        stages.append({"name": "threshold", **_cut(threshold)})
    return stages


def options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a document store as a target by these settings."""
    stages = pipeline(settings)
    found: dict[str, Any] = {"topK": settings["k"]} if "k" in settings else {}
    return found if stages is None else {**found, "retrieval": stages}


def told(settings: Mapping[str, Any]) -> str:
    """Settings on one line."""
    return ", ".join(f"{name}={shown(value)}" for name, value in settings.items()) or NOW


def shown(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping) and set(value) <= {"name", "config"} and not value.get("config"):
        value = value["name"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _cut(threshold: Any) -> dict[str, Any]:
    if not isinstance(threshold, Mapping):
        return {"minScore": threshold}
    named = {"min_score": "minScore", "min_cosine": "minCosine"}
    return {named[name]: value for name, value in threshold.items()}


def _places(total: int, most: int, seed: int, *, sampled: bool) -> Iterator[int]:
    """The combinations to look at, by their places among all."""
    if not sampled:
        yield from range(total)
        return
    yield from random.Random(seed).sample(range(total), min(total, most * DRAWN))  # noqa: S311 - which settings to try


def _combination(lists: Mapping[str, Sequence[Any]], place: int) -> dict[str, Any]:
    """The combination at this place: the last setting changes first."""
    found: dict[str, Any] = {}
    for name in reversed(list(lists)):
        place, index = divmod(place, len(lists[name]))
        found[name] = lists[name][index]
    return {name: found[name] for name in lists}


def _key(settings: Mapping[str, Any]) -> str:
    """The same for settings that do the same."""
    said = {name: value for name, value in settings.items() if name not in STAGES and name != "retrieval"}
    return json.dumps([said, pipeline(settings)], sort_keys=True, ensure_ascii=False)
