"""Reports made by hand: small and large ones, and one whose every text attacks the page."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from service.metrics.base import Better, Score, failed, not_applicable, scored
from service.metrics.stats import compared, summary
from service.reports.types import (
    Asked,
    Case,
    Column,
    Fault,
    Found,
    Held,
    Listing,
    Mark,
    Measured,
    Numbers,
    Pair,
    Report,
    Run,
    Series,
)

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)

RECALL = Measured("recall@5", Better.HIGHER, 0.0, 1.0, "")
FAITHFUL = Measured("faithfulness", Better.HIGHER, 0.0, 1.0, "")
LATENCY = Measured("latency", Better.LOWER, 0.0, None, "ms")
LENGTH = Measured("length", Better.NEITHER, 0.0, None, "characters")
MEASURES = (RECALL, FAITHFUL, LATENCY, LENGTH)

ATTACK = (
    "</style></title></svg><script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">{{7*7}}'\"&\x07"
)
"""What no page may run: closing tags, scripts, handlers, templates, quotes, a control character."""


def scores(rows: int, seed: int, shift: float = 0.0) -> Mapping[str, Sequence[Score]]:
    """Scores of each measure, a row after the other."""
    chances = np.random.default_rng(seed)
    found: dict[str, list[Score]] = {measure.label: [] for measure in MEASURES}
    for row in range(rows):
        found["recall@5"].append(
            scored(float(chances.random() < 0.7 + shift)) if row % 9 else not_applicable("no gold")
        )
        value = min(max(chances.normal(0.7 + shift, 0.2), 0.0), 1.0)
        found["faithfulness"].append(scored(float(value)) if row % 7 else failed("the judge answered 503: overloaded"))
        found["latency"].append(scored(float(chances.lognormal(5.5 - shift, 0.7))))
        found["length"].append(scored(float(chances.integers(20, 900))))
    return found


def _series(values: Sequence[Score]) -> Series:
    kept = [(place, score.value) for place, score in enumerate(values, 1) if score.value is not None]
    return Series(np.array([place for place, _ in kept], float), np.array([value for _, value in kept], float))


def _pair(first: Mapping[str, Sequence[Score]], second: Mapping[str, Sequence[Score]]) -> Pair:
    held = {}
    for measure in MEASURES:
        one, other = first[measure.label], second[measure.label]
        rows = [{place: [score] for place, score in enumerate(each)} for each in (one, other)]
        told = compared(*rows, better=measure.better)
        moved: Numbers = np.sort(
            [b.value - a.value for a, b in zip(one, other, strict=True) if a.value is not None and b.value is not None]
        )
        held[measure.label] = Held(told, told.p, told.verdict, moved, len(one) - told.pairs)
    return Pair(0, 1, held)


def case(place: int, column: int = 0, **more: Any) -> Case:
    """A case with an answer and two chunks, the second of which holds what should be found."""
    plain = Case(
        column=column,
        place=place,
        repeat=0,
        question="How many days of leave does an employee have?",
        expected="30 days",
        gold=("source: leave.md", "quote: 30 days of paid leave"),
        missed=("source: leave.md",),
        answer="Every employee has 30 days of paid leave a year. [1]",
        error="",
        latency=1234.5,
        marks=(
            Mark("recall@5", "0.5", failed=False),
            Mark("faithfulness", "error", failed=True, why="the judge answered 503: overloaded"),
            Mark("latency", "1,235", failed=False),
        ),
        found=(
            Found(1, "travel.md, Trips", "Trips of more than a day are approved before.", "0.812", gold=False),
            Found(2, "leave.md, Leave > Days", "Every employee has 30 days of paid leave a year.", "0.790", gold=True),
        ),
        more=3,
    )
    return replace(plain, **more)


def run(letter: str = "", **more: Any) -> Run:
    """An evaluation of two targets."""
    plain = Run(
        id="5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11",
        name="Handbook",
        version=3,
        letter=letter,
        dataset="Questions on the handbook",
        dataset_changed=NOON,
        rows=40,
        cases=80,
        done=80,
        failed=2,
        state="completed",
        error="",
        created=NOON,
        started=NOON,
        finished=NOON.replace(minute=3),
        targets=(
            Asked("hybrid", "chatflow", "Handbook assistant", '{"topK": 5}'),
            Asked("dense", "document store", "Handbook", '{"strategy": "similarity", "topK": 5}'),
        ),
        settings={"Repeats": "1", "Judge": "chatOpenAI (gpt-4o-mini)"},
    )
    return replace(plain, **more)


def report(rows: int = 40, **more: Any) -> Report:
    """Two targets of a run."""
    given = [scores(rows, 1), scores(rows, 2, 0.08)]
    labels = [(column, measure) for column in range(2) for measure in MEASURES]
    plain = Report(
        title="Handbook, version 3",
        written=NOON,
        version="0.1.0",
        runs=(run(rows=rows),),
        columns=(Column(0, 0, "hybrid"), Column(0, 1, "dense")),
        measures=MEASURES,
        summaries={
            (column, measure.label): summary(
                {place: [score] for place, score in enumerate(given[column][measure.label])},
                quantiles=(0.5, 0.95) if measure is LATENCY else (),
                bounds=(measure.low, measure.high),
                resamples=1000,
            )
            for column, measure in labels
        },
        series={(column, measure.label): _series(given[column][measure.label]) for column, measure in labels},
        pairs=(_pair(*given),),
        listings=(
            Listing("worst", "Worst rows", "Those with the lowest mean of all measures.", [case(3), case(7, 1)]),
            Listing("slowest", "Slowest rows", "Those that took longest.", [case(9, found=(), answer="", more=0)]),
            Listing("failed", "Rows that failed", "", [case(4, error="The model refused", answer=None, found=None)]),
        ),
        faults=(Fault("the judge answered 503: overloaded", 12, ("hybrid", "dense"), ("faithfulness",)),),
        remarks=("It has not ended: these are the figures so far.",),
    )
    return replace(plain, **more)


def hostile(text: str = ATTACK) -> Report:
    """A report in which every text that users write is this one."""
    plain = report()
    wild = Measured(text, Better.HIGHER, 0.0, 1.0, text)
    bad = case(
        1,
        question=text,
        expected=text,
        answer=text,
        gold=(text,),
        missed=(text,),
        marks=(Mark(text, text, failed=True, why=text),),
        found=(Found(1, text, text, text, gold=True),),
    )
    return replace(
        plain,
        title=text,
        runs=(
            run(
                name=text,
                dataset=text,
                error=text,
                state="failed",
                targets=(Asked(text, text, text, text), Asked(text, text, text, text)),
                settings={text: text},
            ),
        ),
        columns=(Column(0, 0, text), Column(0, 1, text)),
        measures=(wild,),
        summaries={(0, text): plain.summaries[0, "recall@5"]},
        series={(0, text): plain.series[0, "recall@5"]},
        pairs=(Pair(0, 1, {text: plain.pairs[0].held["faithfulness"]}),),
        listings=(Listing("worst", "Worst rows", text, (bad, replace(bad, error=text))),),
        faults=(Fault(text, 1, (text,), (text,)),),
        remarks=(text,),
    )
