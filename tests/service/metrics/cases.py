"""Cases, judges and embedders for tests of metrics."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.metrics.base import Case, Gold, GoldKind, Metric, Passage, Score
from service.metrics.making import metric
from service.retrieval.base import Message


def chunk(name: str, text: str = "", *, number: int | None = None) -> Passage:
    """A chunk of this id."""
    return Passage(text, chunk_id=name, document_id=f"d-{name}", sources=(f"docs/{name}.md",), number=number)


def gold(*names: str, **graded: float) -> tuple[Gold, ...]:
    """Chunks by their ids; graded ones by name."""
    plain = [Gold(GoldKind.CHUNK, name) for name in names]
    return (*plain, *(Gold(GoldKind.CHUNK, name, grade) for name, grade in graded.items()))


def answered(answer: str, *expected: str, **more: Any) -> Case:
    """A case with an answer and what was expected."""
    return Case("What is it?", tuple(expected), answer=answer, **more)


async def value(name: str, case: Case, **options: Any) -> float:
    """The value of a metric without anything lent."""
    score = await made(name, **options).score(case)
    assert score.value is not None, score
    return score.value


async def outcome(name: str, case: Case, **options: Any) -> Score:
    """The score of a metric without anything lent."""
    return await made(name, **options).score(case)


def made(name: str, **options: Any) -> Metric:
    """A metric, its options by their camelCase names."""
    return metric(name, options)


class Judge:
    """Answers in the order of its script and keeps what it was asked. An exception in the script is raised."""

    def __init__(self, *script: Any) -> None:
        """`script`: texts as they are, objects as JSON, exceptions."""
        self.script = list(script)
        self.asked: list[list[Message]] = []

    async def __call__(self, messages: Sequence[Message]) -> str:
        """The next answer of the script."""
        self.asked.append(list(messages))
        answer = self.script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, str) else json.dumps(answer)


def verdicts(*told: Any) -> dict[str, Any]:
    """What a judge says of numbered things."""
    return {"verdicts": [{"number": number, "reason": "so", "verdict": one} for number, one in enumerate(told, 1)]}


async def letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of how often each letter comes; not of unit length."""
    rows = [[1e-3 + text.lower().count(chr(97 + place)) for place in range(26)] for text in texts]
    return np.array(rows, np.float32)
