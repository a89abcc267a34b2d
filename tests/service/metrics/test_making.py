"""Metrics by their names, scores as they are kept, and what every row of the table keeps to."""

import json
import math
import re
from typing import Any

import pytest

from service.errors import Unprocessable
from service.metrics import EVALUATORS, METRICS
from service.metrics.base import Better, Case, Lent, Outcome, Score, Taken, failed, not_applicable, scored
from service.metrics.making import metric, metric_class
from service.plugins import UnknownName
from tests.service.metrics.cases import Judge, answered, chunk, gold, letters

NEEDED: dict[str, dict[str, Any]] = {
    "regex": {"pattern": "a"},
    "judged": {"prompt": "Is it?"},
    "text": {"value": "a"},
    "numeric": {"measure": "responseLength", "value": 3},
}
"""Options without which a metric cannot be."""

FULL = Case(
    "What is it?",
    ("It is a cat [1].",),
    gold=gold("c"),
    answerable=True,
    answer="It is a cat [1].",
    found=(chunk("c", "It is a cat."),),
    taken=Taken(10.0, 1.0, 5.0, 6.0, 3, 2, 0.1),
)
EVERY = pytest.mark.parametrize("name", list(METRICS))


@EVERY
def test_a_metric_is_called_by_its_row(name: str) -> None:
    made = metric(name, NEEDED.get(name))
    assert made.name == name
    assert made.label.startswith(name)


@EVERY
def test_a_metric_says_formula_and_when_it_applies(name: str) -> None:
    told = metric_class(name).__doc__ or ""
    assert "Applicable to" in told
    assert len(told) > 100


@EVERY
def test_options_are_described_and_nothing_unknown_is_taken(name: str) -> None:
    for field in metric_class(name).Options.model_fields.values():
        assert field.description
    with pytest.raises(Unprocessable, match="nonsense"):
        metric(name, {**NEEDED.get(name, {}), "nonsense": 1})


@EVERY
async def test_a_case_of_everything_has_a_value_within_the_range(name: str) -> None:
    made = metric(name, NEEDED.get(name))
    script: dict[str, list[Any]] = {
        "faithfulness": [{"claims": ["a"]}, {"verdicts": [{"number": 1, "verdict": True}]}],
        "contextRecall": [{"claims": ["a"]}, {"verdicts": [{"number": 1, "verdict": True}]}],
        "contextPrecision": [{"verdicts": [{"number": 1, "verdict": True}]}],
        "answerRelevance": [{"questions": ["What is it?"], "evasive": False}],
        "judged": [{"score": 0.5, "reason": ""}],
    }
    score = await made.score(FULL, Lent(Judge(*script.get(name, [])), letters))
    assert score.outcome is Outcome.VALUE, score
    assert score.value is not None
    assert made.low is None or score.value >= made.low - 1e-9
    assert made.high is None or score.value <= made.high + 1e-9
    json.dumps(score.as_json(), allow_nan=False)


@EVERY
async def test_an_empty_case_is_never_a_pass(name: str) -> None:
    score = await metric(name, NEEDED.get(name)).score(Case(""), Lent(Judge(), letters))
    assert score.outcome is Outcome.NOT_APPLICABLE


@EVERY
async def test_a_case_that_failed_is_an_error_of_every_metric(name: str) -> None:
    case = Case("q", ("a",), answer="", found=(), failure="the flow is broken")
    score = await metric(name, NEEDED.get(name)).score(case, Lent(Judge(), letters))
    assert (score.outcome, score.error) == (Outcome.ERROR, "the flow is broken")


@EVERY
async def test_a_model_is_asked_only_where_the_metric_says_so(name: str) -> None:
    made = metric(name, NEEDED.get(name))
    score = await made.score(FULL)
    assert (score.outcome is Outcome.ERROR) is (made.needs_model or made.needs_embedder)


def test_a_depth_can_stand_in_the_name() -> None:
    assert metric("recall@20").label == "recall@20"
    assert metric("ndcg@3", {"gain": "binary"}).label == "ndcg@3"
    assert metric("recall@3", {"k": 3}).label == "recall@3"


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("recall@3", {"k": 5}, "'k' is 5"),
        ("recall@0", {}, "k: "),
        ("cost@3", {}, "k: "),
        ("regex", {"pattern": "(?=a)b"}, "pattern"),
        ("regex", {"pattern": "("}, "pattern"),
        ("regex", {"pattern": "(((a{100}){100}){100}){100}"}, "pattern"),
        ("regex", {}, "pattern"),
        ("jsonSchema", {"schema": {"type": 3}}, "schema"),
        ("text", {"value": " , "}, "names no text"),
        ("numeric", {"measure": "responseLength", "value": "many"}, "value"),
        ("numeric", {"measure": "smell", "value": 1}, "measure"),
    ],
)
def test_options_that_cannot_be_used_are_named(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(Unprocessable, match=re.escape(told)):
        metric(name, options)


def test_an_unknown_metric_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="rougeL"):
        metric("rouge")


@pytest.mark.parametrize("score", [scored(0.5, missing=["a"]), not_applicable("no gold"), failed("it broke", at=3)])
def test_a_score_is_read_as_it_was_written(score: Score) -> None:
    assert Score.from_json(json.loads(json.dumps(score.as_json()))) == score


@pytest.mark.parametrize("kept", [{}, {"value": 1, "error": "x"}, {"value": math.nan}, {"error": ""}])
def test_what_is_no_score_is_refused(kept: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="score"):
        Score.from_json(kept)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_score_is_nan(value: float) -> None:
    with pytest.raises(ValueError, match="score"):
        scored(value)


def test_long_errors_are_cut_and_silent_ones_told() -> None:
    assert len(failed("x" * 10_000).error) == 500
    assert failed("  ").error == "failed without a word"


def test_what_is_less_is_better_for_what_answers_take() -> None:
    for name in ("latency", "firstToken", "tokens", "cost"):
        assert metric(name).better is Better.LOWER
    assert metric("latency").quantiles == (0.5, 0.95)
    assert [metric("tokens", {"kind": "input"}).label, metric("length", {"unit": "words"}).label] == [
        "tokens:input",
        "length:words",
    ]


OUTPUT = ' You get 26 Days, at "Most". '


@pytest.mark.parametrize(
    ("operator", "value", "passes"),
    [
        ("ContainsAny", "forty, 26 DAYS", True),
        ("ContainsAny", "forty,", False),
        ("ContainsAll", "you,26 days", True),
        ("ContainsAll", "you, forty", False),
        ("DoesNotContainAny", "forty, fifty", True),
        ("DoesNotContainAny", "forty, you", False),
        ("DoesNotContainAll", "forty, you", True),
        ("DoesNotContainAll", "26, you", False),
        ("StartsWith", " you GET", True),
        ("StartsWith", "get", False),
        ("NotStartsWith", "get", True),
        ("NotStartsWith", "you", False),
    ],
)
async def test_flowises_text_operators_do_as_they_are_called(operator: str, value: str, passes: bool) -> None:
    made = metric(EVALUATORS["text"], {"operator": operator, "value": value})
    assert (await made.score(answered(OUTPUT))).value == passes


@pytest.mark.parametrize(("output", "valid"), [('{"A": [1, TRUE]}', True), ("NaN", False), ("26 days", False)])
async def test_flowises_json_operators_read_lower_case(output: str, valid: bool) -> None:
    for operator, passes in (("IsValidJSON", valid), ("IsNotValidJSON", not valid)):
        made = metric(EVALUATORS["json"], {"operator": operator})
        assert (await made.score(answered(output))).value == passes


MEASURED = Taken(1500.0, None, 700.0, 900.0, 100, 20)


@pytest.mark.parametrize(
    ("measure", "operator", "value", "passes"),
    [
        ("totalTokens", "equals", "120", True),
        ("promptTokens", "notEquals", "100", False),
        ("completionTokens", "greaterThan", 19, True),
        ("apiLatency", "lessThan", "1500", False),
        ("apiLatency", "lessThanOrEquals", "1500.9", True),
        ("llm", "greaterThanOrEquals", 700.2, True),
        ("chain", "lessThan", " 901 ", True),
        ("responseLength", "equals", 27, True),
    ],
)
async def test_flowises_numeric_operators_compare_whole_numbers(
    measure: str, operator: str, value: Any, passes: bool
) -> None:
    made = metric(EVALUATORS["numeric"], {"measure": measure, "operator": operator, "value": value})
    assert (await made.score(answered(OUTPUT, taken=MEASURED))).value == passes


async def test_a_measure_that_nobody_took_is_neither_pass_nor_fail() -> None:
    made = metric("numeric", {"measure": "llm", "operator": "lessThan", "value": 5})
    assert (await made.score(answered(OUTPUT))).outcome is Outcome.NOT_APPLICABLE
