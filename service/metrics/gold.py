"""Which gold sources a found chunk meets: what every metric of retrieval starts from.

The ranks are those of the chunks that were found; a chunk that comes twice counts at its first place. A gold source is
met by a chunk

- as `source`: of whose names one is the same, or ends in it after a `/` ("handbook.pdf" meets "docs/handbook.pdf");
- as `document` or `chunk`: with this id;
- as `quote`: whose text holds it, case, blanks and Unicode's compatibility forms aside.

Gold sources that are listed twice count once, with the higher grade.
"""

import unicodedata
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import Field

from service.metrics.base import Case, Gold, GoldKind, MetricOptions, Passage, PlainMetric, Score, not_applicable


@dataclass(frozen=True, slots=True)
class Ranking:
    """What was found, as gold sources see it."""

    met: tuple[frozenset[int], ...]
    """For each rank the gold sources, by number, that its chunk meets."""
    grades: tuple[float, ...]
    """Of the gold sources."""
    names: tuple[str, ...]
    """Of the gold sources, for people."""

    @property
    def relevant(self) -> list[bool]:
        """For each rank whether its chunk meets any."""
        return [bool(golds) for golds in self.met]

    @property
    def new(self) -> list[frozenset[int]]:
        """For each rank the gold sources that no earlier one met."""
        seen: set[int] = set()
        found = []
        for golds in self.met:
            found.append(golds - seen)
            seen |= golds
        return found

    def within(self, depth: int) -> frozenset[int]:
        """The gold sources that the first `depth` ranks meet."""
        return frozenset().union(*self.met[:depth])

    def missing(self, depth: int) -> list[str]:
        """The names of those that they do not."""
        held = self.within(depth)
        return [name for number, name in enumerate(self.names) if number not in held]


class DepthOptions(MetricOptions):
    """How far down is looked."""

    k: int = Field(5, ge=1, le=1000, description="Ranks that count")


class RetrievalMetric(PlainMetric):
    """A metric of what was found. Applicable to cases with gold sources whose flow says what it retrieved."""

    Options = DepthOptions
    options: DepthOptions

    @property
    def label(self) -> str:
        return f"{self.name}@{self.options.k}"

    def of(self, case: Case) -> Score:
        if case.found is None:
            return not_applicable("the flow does not say what it retrieved")
        ranked = _ranked(case.found, case.gold)
        if not ranked.grades:
            return not_applicable("the row has no gold sources")
        return self.ranked(ranked)

    @abstractmethod
    def ranked(self, ranked: Ranking) -> Score:
        """What a ranking is worth; it has one gold source at least."""


def ranking(found: Iterable[Passage], gold: Iterable[Gold]) -> Ranking:
    """The chunks that were found as gold sources see them; gold sources of grade 0 or less are left out."""
    grades: dict[tuple[GoldKind, str], float] = {}
    for item in gold:
        name = (item.kind, _plain(item))
        if item.grade > 0 and name[1]:
            grades[name] = max(item.grade, grades.get(name, 0.0))
    wanted = list(grades)
    met = tuple(_met(passage, wanted) for passage in _distinct(found))
    return Ranking(met, tuple(grades.values()), tuple(f"{kind}: {value[:100]}" for kind, value in wanted))


_ranked = lru_cache(8)(ranking)
"""As the metrics of a case ask for it one after another."""


def folded(text: str) -> str:
    """A text for comparing: compatibility forms, case and blanks do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _plain(item: Gold) -> str:
    if item.kind in (GoldKind.QUOTE, GoldKind.SOURCE):
        return folded(item.value)
    return item.value.strip().casefold()


def _met(passage: Passage, wanted: Sequence[tuple[GoldKind, str]]) -> frozenset[int]:
    kinds = {kind for kind, _ in wanted}
    names = [folded(name) for name in passage.sources] if GoldKind.SOURCE in kinds else []
    text = folded(passage.text) if GoldKind.QUOTE in kinds else ""
    document, chunk = passage.document_id.casefold(), passage.chunk_id.casefold()

    def meets(kind: GoldKind, value: str) -> bool:
        match kind:
            case GoldKind.SOURCE:
                return any(name == value or name.endswith("/" + value) for name in names)
            case GoldKind.DOCUMENT:
                return document == value
            case GoldKind.CHUNK:
                return chunk == value
            case GoldKind.QUOTE:
                return value in text

    return frozenset(number for number, (kind, value) in enumerate(wanted) if meets(kind, value))


def _distinct(found: Iterable[Passage]) -> list[Passage]:
    seen: set[str] = set()
    kept = []
    for passage in found:
        if passage.chunk_id and passage.chunk_id in seen:
            continue
        seen.add(passage.chunk_id)
        kept.append(passage)
    return kept
