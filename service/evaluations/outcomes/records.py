"""Figures of many evaluations at once, for lists."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from service.evaluations.types import Evaluation, Figures
from service.evaluators.types import EvaluatorType
from stores.records.database import Scope

_COUNTED: LiteralString = """
    SELECT r.evaluation_id AS id,
        count(*) FILTER (WHERE (r.scores -> l.label ->> 'value')::float8 >= 1) AS passed,
        count(*) FILTER (WHERE (r.scores -> l.label ->> 'value')::float8 < 1) AS refused,
        count(*) FILTER (WHERE r.scores -> l.label ->> 'value' IS NULL) AS broken
    FROM evaluation_results r JOIN unnest(%(ids)s::uuid[], %(labels)s::text[]) AS l (id, label)
        ON r.evaluation_id = l.id
    WHERE r.workspace_id = %(workspace)s GROUP BY r.evaluation_id
"""


async def figures(scope: Scope, evaluations: Sequence[Evaluation]) -> dict[UUID, Figures]:
    """What evaluators said of the cases of each, and their mean latency: of the kept summary, where there is one."""
    kept = await scope.all(
        "SELECT id, (summary ->> 'passed')::int AS passed, (summary ->> 'refused')::int AS refused,"
        " (summary ->> 'broken')::int AS broken, (summary ->> 'latency')::float8 AS latency FROM evaluations"
        " WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) AND summary IS NOT NULL",
        ids=[item.id for item in evaluations],
    )
    found = {row["id"]: Figures(row["passed"], row["refused"], row["broken"], row["latency"]) for row in kept}
    left = [item for item in evaluations if item.id not in found]
    return {**found, **await _counted(scope, left)} if left else found


async def _counted(scope: Scope, evaluations: Sequence[Evaluation]) -> dict[UUID, Figures]:
    """The same, counted from results."""
    judging = [
        (item.id, measure.label)
        for item in evaluations
        for measure in item.plan.measures
        if measure.evaluator_type not in (None, EvaluatorType.LLM)
    ]
    counted = await scope.all(_COUNTED, ids=[item for item, _ in judging], labels=[label for _, label in judging])
    verdicts = {row["id"]: (row["passed"], row["refused"], row["broken"]) for row in counted}
    timed = await scope.all(
        "SELECT evaluation_id AS id, avg(latency) AS latency FROM evaluation_results"
        " WHERE workspace_id = %(workspace)s AND evaluation_id = ANY(%(ids)s) GROUP BY evaluation_id",
        ids=[item.id for item in evaluations],
    )
    latencies = {row["id"]: row["latency"] for row in timed}
    return {item.id: Figures(*verdicts.get(item.id, (0, 0, 0)), latencies.get(item.id)) for item in evaluations}
