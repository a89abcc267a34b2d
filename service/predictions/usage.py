"""What the models of a run took, by model, and what that costs where the operator has named prices."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.chatflows.types import Usage
from service.settings import Price

MILLION = 1_000_000

_VERSION = re.compile(r"(?:[-@:](?:latest|\d{4}-\d\d-\d\d|\d\d-\d{4}|\d{8}|\d{6}|\d{3,4}|v\d+:\d+))+")
"""What may stand behind a model's name and leave it the same model: a date, a number of a version. Other words, such as
`-mini`, make it another one."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Tokens that calls of models took, and their cost; None: of one of them no price is known."""

    input: int = 0
    output: int = 0
    calls: int = 0
    cost: float | None = 0.0
    seconds: float | None = None
    """How long the calls took that were timed."""

    def plus(self, other: "Taken") -> "Taken":
        """Both."""
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        times = [item.seconds for item in (self, other) if item.seconds is not None]
        calls = self.calls + other.calls
        return Taken(self.input + other.input, self.output + other.output, calls, cost, sum(times) if times else None)

    def shown(self, *, cost: bool) -> dict[str, Any]:
        """As clients read it, by the names that LangChain and Flowise have for it; `cost`: with calls and cost."""
        shown: dict[str, Any] = {
            "input_tokens": self.input,
            "output_tokens": self.output,
            "total_tokens": self.input + self.output,
        }
        if cost:
            shown["calls"] = self.calls
            if self.cost is not None:
                shown["cost"] = round(self.cost, 9)
        return shown


@dataclass(frozen=True, slots=True)
class Spent:
    """What a whole run took: the flow's models, those of its retrievers, of flows that it called, of follow-ups."""

    models: Mapping[str, Taken]
    priced: bool = False
    """Whether prices are configured at all: without them nothing is said of cost."""

    @classmethod
    def of(cls, usage: Iterable[Usage], prices: Mapping[str, Price]) -> "Spent":
        """The sum of single calls."""
        models: dict[str, Taken] = {}
        for call in usage:
            taken = Taken(call.input_tokens, call.output_tokens, 1, cost(call, prices), call.seconds)
            models[call.model] = models.get(call.model, Taken()).plus(taken)
        return cls(models, bool(prices))

    @property
    def total(self) -> Taken:
        """Of all models."""
        total = Taken()
        for taken in self.models.values():
            total = total.plus(taken)
        return total

    def shown(self, *, full: bool) -> dict[str, Any]:
        """As clients read it: the tokens in all; `full` adds calls, each model's share, and cost."""
        shown = self.total.shown(cost=full)
        if full:
            shown["models"] = {name: taken.shown(cost=True) for name, taken in self.models.items()}
            if not self.priced:
                for part in (shown, *shown["models"].values()):
                    part.pop("cost", None)
        return shown


def cost(usage: Usage, prices: Mapping[str, Price]) -> float | None:
    """What a call costs; None where its model has no price. A price counts for the versions of its model too, the
    longest name first: providers answer under dated names (`gpt-4o-mini-2024-07-18`)."""
    names = [name for name in prices if _is_version(usage.model, name)]
    if not names:
        return None
    price = prices[max(names, key=len)]
    return (usage.input_tokens * price.input + usage.output_tokens * price.output) / MILLION


def _is_version(model: str, name: str) -> bool:
    """Whether a model is the one of this name, or a version of it."""
    return model == name or (model.startswith(name) and _VERSION.fullmatch(model, len(name)) is not None)
