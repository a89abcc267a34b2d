"""Texts of a report: what a run was, and what became of a case, cut to what a page can hold."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.evaluations.types import CaseResult, Evaluation, Measure, Target, TargetKind
from service.metrics.base import Gold, Outcome, Passage, Score
from service.metrics.gold import ranking
from service.reports.numbers import figure
from service.reports.types import Asked, Case, Found, Mark, Measured, Run
from service.secret_names import HIDDEN, is_secret, redacted_text

LONGEST_TEXT = 2_000
"""Characters of a question or an answer."""
LONGEST_CHUNK = 700
LONGEST_NAME = 200
LONGEST_OPTIONS = 2_000
MOST_CHUNKS = 8
MOST_GOLD = 20
MOST_MARKS = 30

KINDS = {TargetKind.CHATFLOW: "chatflow", TargetKind.STORE: "document store"}


def label_of(target: Target) -> str:
    """What results call a target."""
    return cut(target.label, LONGEST_NAME)


def run_of(evaluation: Evaluation, letter: str) -> Run:
    """An evaluation as the page tells of it."""
    plan = evaluation.plan
    return Run(
        id=str(evaluation.id),
        name=evaluation.name,
        version=evaluation.version,
        letter=letter,
        dataset=evaluation.dataset_name,
        dataset_changed=evaluation.dataset_updated_at,
        rows=evaluation.rows,
        cases=evaluation.total,
        done=evaluation.done,
        failed=evaluation.failed,
        state=evaluation.state.value,
        error=cut(redacted_text(str((evaluation.error or {}).get("message", ""))), LONGEST_TEXT),
        created=evaluation.created_at,
        started=evaluation.started_at,
        finished=evaluation.finished_at,
        targets=[
            Asked(label_of(item), KINDS[item.kind], cut(item.name, LONGEST_NAME), _options(item.options))
            for item in plan.targets
        ],
        settings=_settings(evaluation),
    )


def _settings(evaluation: Evaluation) -> dict[str, str]:
    """How it was run, by names for people."""
    plan, judge = evaluation.plan, evaluation.plan.judge
    told = {"Repeats": str(plan.repeats), "Retries": str(plan.retries)}
    if plan.concurrency is not None:
        told["At once"] = str(plan.concurrency)
    if plan.conversation:
        told["Rows"] = "asked as one conversation"
    if judge is not None:
        model = judge.inputs.get("modelName") or judge.inputs.get("model") or judge.inputs.get("customModelName")
        told["Judge"] = cut(f"{judge.name or 'the own model'}{f' ({model})' if model else ''}", LONGEST_NAME)
    varied = [item for item in plan.measures if item.options and not item.is_evaluator]
    if varied:
        told["Measures"] = cut("; ".join(f"{item.label} {_options(item.options)}" for item in varied), LONGEST_OPTIONS)
    return told


def measured(item: Measure) -> Measured:
    """A measure as the page needs it."""
    return Measured(item.label, item.better, item.low, item.high, item.unit)


def case_of(item: CaseResult, column: int, measures: Sequence[Measured], *, repeated: bool) -> Case:
    """What became of a case."""
    row, result = item.row, item.result
    gold = row.gold[:MOST_GOLD]
    found = result.found
    shown = None if found is None else [_found(place, each, gold) for place, each in enumerate(found[:MOST_CHUNKS], 1)]
    return Case(
        column=column,
        place=row.place + 1,
        repeat=result.repeat + 1 if repeated else 0,
        question=cut(row.question, LONGEST_TEXT),
        expected=cut(row.expected, LONGEST_TEXT),
        gold=[_gold_name(each) for each in gold],
        missed=[]
        if found is None
        else [_gold_name(each) for each in gold if not any(_meets(one, [each]) for one in found)],
        answer=None if result.answer is None else cut(result.answer, LONGEST_TEXT),
        error=cut(result.error, LONGEST_TEXT),
        latency=result.taken.latency,
        marks=[
            _mark(measure.label, result.scores[measure.label])
            for measure in measures[:MOST_MARKS]
            if measure.label in result.scores
        ],
        found=shown,
        more=0 if found is None else max(len(found) - MOST_CHUNKS, 0),
    )


def cut(text: str, limit: int) -> str:
    """The beginning of a text, marked where it is not all of it."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _found(place: int, passage: Passage, gold: Sequence[Gold]) -> Found:
    return Found(
        number=passage.number or place,
        source=cut(", ".join(passage.sources) or passage.chunk_id or "unknown source", LONGEST_NAME),
        text=cut(passage.text, LONGEST_CHUNK),
        score="" if passage.score is None else f"{passage.score:.3f}",
        gold=_meets(passage, gold),
    )


def _meets(passage: Passage, gold: Sequence[Gold]) -> bool:
    return any(ranking([passage], gold).relevant)


def _gold_name(gold: Gold) -> str:
    return f"{gold.kind}: {cut(gold.value, LONGEST_NAME)}"


def _mark(label: str, score: Score) -> Mark:
    why = cut(score.reason, LONGEST_TEXT)
    if score.value is not None:
        return Mark(label, figure(score.value), failed=False)
    if score.outcome is Outcome.ERROR:
        return Mark(label, "error", failed=True, why=why)
    return Mark(label, "not applicable", failed=False, why=why)


def _options(options: Mapping[str, Any]) -> str:
    """As JSON without secrets; empty where there are none."""
    if not options:
        return ""
    return cut(json.dumps(_open(options), ensure_ascii=False, default=str), LONGEST_OPTIONS)


def _open(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(key, item) else _open(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_open(item) for item in value]
    return redacted_text(value) if isinstance(value, str) else value
