"""What a benchmark reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the report. `value` is compared with `target`; `better` says in which direction."""

    name: str
    value: float
    target: float
    unit: str = ""
    better: str = "higher"
    details: Mapping[str, float] = field(default_factory=dict)
    """The figures that the value was made from, the floor's among them."""

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        return self.value >= self.target if self.better == "higher" else self.value <= self.target


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    rank = max(0, min(len(ordered) - 1, -(-int(share * 1000) * len(ordered) // 1000) - 1))
    return ordered[rank]
