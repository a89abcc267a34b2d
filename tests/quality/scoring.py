"""Retrieval metrics of one question."""

import re
from collections.abc import Mapping, Sequence

from service.metrics import ranking


def ndcg(found: Sequence[str], relevant: Mapping[str, float], depth: int = 10) -> float:
    """Normalised discounted cumulative gain (Järvelin & Kekäläinen 2002) of the first `depth`, gains as graded."""
    return ranking.ndcg([relevant.get(name, 0.0) for name in found], relevant.values(), depth)


def recall(found: Sequence[str], relevant: Mapping[str, float], depth: int = 5) -> float:
    """The share of what is relevant among the first `depth`."""
    return sum(name in relevant for name in found[:depth]) / len(relevant)


def answered(texts: Sequence[str], answers: Sequence[str], *, every: bool = False) -> bool:
    """Whether an answer, or each of them, stands in the texts, blanks and case aside."""
    plain = " \n ".join(map(_plain, texts))
    hits = [_plain(answer) in plain for answer in answers]
    return all(hits) if every else any(hits)


def covered(spans: Sequence[tuple[int, int]], wanted: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Recall and precision, counted over characters, of stretches of a text; overlaps count once for recall."""
    marked = {place for start, end in wanted for place in range(start, end)}
    met = {place for start, end in spans for place in range(start, end) if place in marked}
    size = sum(end - start for start, end in spans)
    return len(met) / len(marked), len(met) / size if size else 0.0


def distinct(names: Sequence[str]) -> list[str]:
    """The names, each at its first place."""
    return list(dict.fromkeys(names))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
