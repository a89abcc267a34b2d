"""What an evaluation says: a summary for each target and measure, made of kept scores, one measure at a time."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.evaluations import records
from service.evaluations.cases import records as cases
from service.evaluations.types import OPEN, Evaluation, Measure, RunSummary, ScoreRow, TargetSummary
from service.evaluators.types import EvaluatorType
from service.metrics.base import Score
from service.metrics.resampling import Estimate, Interval, Method
from service.metrics.stats import Summary, summary
from stores.records.database import Database


async def summed(database: Database, workspace: UUID, evaluation: Evaluation) -> RunSummary:
    """The summary; kept with an evaluation that has ended, so that it is made once."""
    ended = evaluation.state not in OPEN
    if ended:
        async with database.read(workspace) as scope:
            kept = await records.summary(scope, evaluation.id)
        if kept is not None:
            return _read(kept)
    made = await _made(database, workspace, evaluation, ended=ended)
    if ended:
        async with database.read(workspace) as scope:
            await records.keep_summary(scope, evaluation.id, _shown(made))
    return made


async def _made(database: Database, workspace: UUID, evaluation: Evaluation, *, ended: bool) -> RunSummary:
    verdicts = [
        item.label
        for item in evaluation.plan.measures
        if item.evaluator_type is not None and item.evaluator_type is not EvaluatorType.LLM
    ]
    async with database.read(workspace) as scope:
        counted = await cases.by_target(scope, evaluation.id)
        passed, refused, broken = await cases.verdicts(scope, evaluation.id, verdicts)
    targets = []
    for target, count, failed, _, _ in counted:
        measures = {}
        for item in evaluation.plan.measures:
            async with database.read(workspace) as scope:
                scores = await cases.scores(scope, evaluation.id, target, item.label)
            measures[item.label] = await asyncio.to_thread(summary_of, item, scores)
        targets.append(TargetSummary(target, count, failed, measures))
    timed = sum(item[3] for item in counted)
    latency = sum(item[4] for item in counted) / timed if timed else None
    return RunSummary(tuple(targets), passed, refused, broken, latency, complete=ended)


def summary_of(item: Measure, scores: list[ScoreRow]) -> Summary:
    """What the scores of one measure say; the repeats of a row count as one."""
    by_row: dict[int, list[Score]] = {}
    for one in scores:
        by_row.setdefault(one.place, []).append(one.score)
    return summary(by_row, quantiles=item.quantiles, bounds=(item.low, item.high))


def _shown(made: RunSummary) -> dict[str, Any]:
    return {
        "targets": [
            {
                "target": item.target,
                "cases": item.cases,
                "failed": item.failed,
                "measures": {label: _summary_json(one) for label, one in item.measures.items()},
                "order": list(item.measures),
            }
            for item in made.targets
        ],
        "passed": made.passed,
        "refused": made.refused,
        "broken": made.broken,
        "latency": made.latency,
    }


def _read(kept: Mapping[str, Any]) -> RunSummary:
    return RunSummary(
        targets=tuple(
            TargetSummary(
                item["target"],
                item["cases"],
                item["failed"],
                {label: _summary(item["measures"][label]) for label in item["order"]},
            )
            for item in kept["targets"]
        ),
        passed=kept["passed"],
        refused=kept["refused"],
        broken=kept["broken"],
        latency=kept["latency"],
        complete=True,
    )


def _summary_json(item: Summary) -> dict[str, Any]:
    return {
        "rows": item.rows,
        "scores": item.scores,
        "notApplicable": item.not_applicable,
        "errors": item.errors,
        "mean": _estimate_json(item.mean),
        "deviation": item.deviation,
        "low": item.low,
        "high": item.high,
        "quantiles": [[share, _estimate_json(estimate)] for share, estimate in item.quantiles.items()],
        "reasons": list(item.reasons.items()),
    }


def _summary(kept: Mapping[str, Any]) -> Summary:
    quantiles = {share: _estimate(one) for share, one in kept["quantiles"]}
    return Summary(
        rows=kept["rows"],
        scores=kept["scores"],
        not_applicable=kept["notApplicable"],
        errors=kept["errors"],
        mean=_estimate(kept["mean"]),
        deviation=kept["deviation"],
        low=kept["low"],
        high=kept["high"],
        quantiles={share: one for share, one in quantiles.items() if one is not None},
        reasons=dict(kept["reasons"]),
    )


def _estimate_json(item: Estimate | None) -> dict[str, Any] | None:
    if item is None:
        return None
    interval = item.interval
    shown = None if interval is None else [interval.low, interval.high, interval.level, interval.method.value]
    return {"value": item.value, "interval": shown}


def _estimate(kept: Mapping[str, Any] | None) -> Estimate | None:
    if kept is None:
        return None
    interval = kept["interval"]
    if interval is None:
        return Estimate(kept["value"], None)
    low, high, level, method = interval
    return Estimate(kept["value"], Interval(low, high, level, Method(method)))
