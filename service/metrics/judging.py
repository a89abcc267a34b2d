"""How chat models are asked to judge, and how their verdicts are read: strictly, and once more where that fails."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from service.metrics.base import Lent, Unjudged
from service.model_json import found
from service.retrieval.base import Message

T = TypeVar("T")

ATTEMPTS = 2
"""How often a judge is asked: again with what was wrong when its answer cannot be read."""
MOST_CLAIMS = 100
"""Claims of an answer that are judged."""
LONGEST_CLAIM = 1000

_AGAIN = "That could not be used: {problem}. Answer with the JSON that was asked for and nothing else."
_YES = frozenset({"yes", "true", "1"})
_NO = frozenset({"no", "false", "0"})


async def judged(lent: Lent, messages: Sequence[Message], read: Callable[[Any], T]) -> T:
    """What the judge answers, as `read` makes it of the JSON in it. `read` raises `ValueError` for what it cannot use.

    Raises `Unjudged` when the judge keeps answering something else, and what the model raises.
    """
    asked = list(messages)
    problem = ""
    for _ in range(ATTEMPTS):
        answer = await lent.judge(asked)
        try:
            value = found(answer)
            json.dumps(value, allow_nan=False)  # Python reads NaN, nothing else does
            return read(value)
        except ValueError as error:
            problem = str(error)
        asked = [*messages, Message("assistant", answer), Message("user", _AGAIN.format(problem=problem))]
    raise Unjudged(f"the judge's answer cannot be used: {problem}; it was: {answer[:200]!r}")


def field(value: Any, name: str) -> Any:
    """A field of an object. Raises `ValueError`."""
    if not isinstance(value, Mapping) or name not in value:
        raise ValueError(f"there is no object with the field '{name}'")
    return value[name]


def texts(value: Any, name: str, most: int = MOST_CLAIMS) -> list[str]:
    """The texts of a list in a field; blank ones are left out. Raises `ValueError`."""
    rows = field(value, name)
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise ValueError(f"'{name}' is no list of texts")
    return [row.strip()[:LONGEST_CLAIM] for row in rows if row.strip()][:most]


def truth(value: Any) -> bool:
    """A verdict: a boolean, 0 or 1, or a word for it. Raises `ValueError`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | str):
        word = str(int(value) if isinstance(value, float) and value.is_integer() else value).strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
    raise ValueError(f"'{str(value)[:50]}' is neither true nor false")


def verdicts(value: Any, count: int) -> list[bool]:
    """`count` verdicts, in order, from `{"verdicts": [{"number": 1, "verdict": true}, ...]}`. Raises `ValueError`
    unless every number from 1 comes once."""
    rows = field(value, "verdicts")
    if not isinstance(rows, list):
        raise ValueError("'verdicts' is no list")
    told: dict[int, bool] = {}
    for row in rows:
        number = field(row, "number")
        if isinstance(number, str) and number.strip().isdecimal():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count or number in told:
            raise ValueError(f"the number '{str(number)[:50]}' is none of 1 to {count}, or comes twice")
        told[number] = truth(field(row, "verdict"))
    if len(told) < count:
        raise ValueError(f"verdicts on {count} numbers were asked for, {len(told)} came")
    return [told[number] for number in range(1, count + 1)]
