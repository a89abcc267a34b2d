"""The rows of evaluations. Whoever writes results holds the evaluation's row first, then its job's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.datasets.types import Dataset
from service.evaluations.types import (
    Better,
    Evaluation,
    EvaluationState,
    EvaluationType,
    EvaluatorType,
    Held,
    Judge,
    Measure,
    Plan,
    Target,
    TargetKind,
)
from stores.records.database import Scope

LOST = {"status": 500, "code": "worker_lost", "message": "The job of this evaluation is gone; run it again."}
"""Said of an evaluation that is open and has no job."""

_COUNTED: LiteralString = """
    WITH counted AS (
        SELECT id, row_number() OVER (PARTITION BY name ORDER BY ordinal) AS version,
            count(*) OVER (PARTITION BY name) AS versions
        FROM evaluations WHERE workspace_id = %(workspace)s AND name = ANY(%(names)s))
    SELECT e.*, c.version, c.versions, j.state AS job_state FROM evaluations e
    JOIN counted c USING (id) LEFT JOIN jobs j ON j.id = e.job_id
"""
"""Evaluations of the workspace, of these names, with their versions."""


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "targets": [
            {
                "kind": item.kind.value,
                "id": str(item.id),
                "label": item.label,
                "options": dict(item.options),
                "name": item.name,
                "type": item.type,
                "updatedAt": item.updated_at.isoformat() if item.updated_at else None,
            }
            for item in plan.targets
        ],
        "measures": [
            {
                "label": item.label,
                "metric": item.metric,
                "options": dict(item.options),
                "evaluator": str(item.evaluator) if item.evaluator else None,
                "evaluatorType": item.evaluator_type.value if item.evaluator_type else None,
                "better": item.better.value,
                "low": item.low,
                "high": item.high,
                "unit": item.unit,
                "quantiles": list(item.quantiles),
            }
            for item in plan.measures
        ],
        "repeats": plan.repeats,
        "concurrency": plan.concurrency,
        "retries": plan.retries,
        "conversation": plan.conversation,
        "judge": None
        if plan.judge is None
        else {"name": plan.judge.name, "inputs": dict(plan.judge.inputs), "credential": plan.judge.credential},
    }


def _plan(kept: Mapping[str, Any]) -> Plan:
    judge = kept["judge"]
    return Plan(
        targets=tuple(
            Target(
                TargetKind(item["kind"]),
                UUID(item["id"]),
                item["label"],
                item["options"],
                name=item["name"],
                type=item["type"],
                updated_at=datetime.fromisoformat(item["updatedAt"]) if item["updatedAt"] else None,
            )
            for item in kept["targets"]
        ),
        measures=tuple(
            Measure(
                label=item["label"],
                metric=item["metric"],
                options=item["options"],
                evaluator=UUID(item["evaluator"]) if item["evaluator"] else None,
                evaluator_type=EvaluatorType(item["evaluatorType"]) if item["evaluatorType"] else None,
                better=Better(item["better"]),
                low=item["low"],
                high=item["high"],
                unit=item["unit"],
                quantiles=tuple(item["quantiles"]),
            )
            for item in kept["measures"]
        ),
        repeats=kept["repeats"],
        concurrency=kept["concurrency"],
        retries=kept["retries"],
        conversation=kept["conversation"],
        judge=None if judge is None else Judge(judge["name"], judge["inputs"], judge["credential"]),
    )


def _evaluation(scope: Scope, row: DictRow) -> Evaluation:
    state, error = row["outcome"] or row["job_state"], row["error"]
    if state not in set(EvaluationState):
        state, error = EvaluationState.FAILED, LOST
    return Evaluation(
        id=row["id"],
        workspace=row["workspace_id"],
        name=row["name"],
        version=row["version"],
        versions=row["versions"],
        type=EvaluationType(row["type"]),
        dataset=row["dataset_id"],
        dataset_name=row["dataset_name"],
        dataset_updated_at=row["dataset_updated_at"],
        plan=_plan(scope.opened(row["plan"])),
        rows=row["row_count"],
        total=row["total"],
        done=row["done"],
        failed=row["failed"],
        state=EvaluationState(state),
        error=error,
        job=row["job_id"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


async def insert(
    scope: Scope, evaluation_id: UUID, name: str, kind: EvaluationType, dataset: Dataset, plan: Plan, job_id: UUID
) -> None:
    """A new evaluation, open and without rows yet; see `size`."""
    await scope.run(
        "INSERT INTO evaluations (id, workspace_id, name, type, dataset_id, dataset_name, dataset_updated_at, plan,"
        " row_count, total, job_id) VALUES (%(id)s, %(workspace)s, %(name)s, %(type)s, %(dataset)s, %(dataset_name)s,"
        " %(dataset_updated_at)s, %(plan)s, 0, 0, %(job)s)",
        id=evaluation_id,
        name=name,
        type=kind.value,
        dataset=dataset.id,
        dataset_name=dataset.name,
        dataset_updated_at=dataset.updated_at,
        plan=Jsonb(scope.sealed(_plan_json(plan))),
        job=job_id,
    )


async def size(scope: Scope, evaluation_id: UUID, rows: int, total: int) -> None:
    """Note how many rows an evaluation has, and how many cases they make."""
    await scope.run(
        "UPDATE evaluations SET row_count = %(rows)s, total = %(total)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=evaluation_id,
        rows=rows,
        total=total,
    )


async def get(scope: Scope, evaluation_id: UUID) -> Evaluation | None:
    """An evaluation of the workspace."""
    named = await scope.one(
        "SELECT name FROM evaluations WHERE workspace_id = %(workspace)s AND id = %(id)s", id=evaluation_id
    )
    if named is None:
        return None
    row = await scope.one(_COUNTED + " WHERE e.id = %(id)s", id=evaluation_id, names=[named["name"]])
    return _evaluation(scope, row) if row else None


async def lock(scope: Scope, evaluation_id: UUID) -> Held | None:
    """An evaluation of the workspace, held until the transaction ends."""
    row = await scope.one(
        "SELECT job_id, outcome FROM evaluations WHERE workspace_id = %(workspace)s AND id = %(id)s FOR UPDATE",
        id=evaluation_id,
    )
    return Held(row["job_id"], EvaluationState(row["outcome"]) if row["outcome"] else None) if row else None


async def versions(scope: Scope, evaluation_id: UUID) -> list[Evaluation]:
    """The evaluations that have the name of this one, oldest first; none for an unknown one."""
    named = await scope.one(
        "SELECT name FROM evaluations WHERE workspace_id = %(workspace)s AND id = %(id)s", id=evaluation_id
    )
    rows = await scope.all(_COUNTED + " ORDER BY e.ordinal", names=[named["name"]] if named else [])
    return [_evaluation(scope, row) for row in rows]


async def page(scope: Scope, offset: int, size: int) -> tuple[list[Evaluation], int]:
    """All versions of so many names: the name last used first, its newest version first; and how many names there
    are."""
    names = await scope.all(
        "SELECT name FROM evaluations WHERE workspace_id = %(workspace)s GROUP BY name"
        " ORDER BY max(ordinal) DESC LIMIT %(size)s OFFSET %(offset)s",
        size=size,
        offset=offset,
    )
    total = await scope.one("SELECT count(DISTINCT name) AS total FROM evaluations WHERE workspace_id = %(workspace)s")
    wanted = [row["name"] for row in names]
    rows = await scope.all(
        _COUNTED + " ORDER BY max(e.ordinal) OVER (PARTITION BY e.name) DESC, e.ordinal DESC", names=wanted
    )
    return [_evaluation(scope, row) for row in rows], int(total["total"]) if total else 0


async def count(scope: Scope) -> int:
    """How many evaluations the workspace has, versions included."""
    row = await scope.one("SELECT count(*) AS total FROM evaluations WHERE workspace_id = %(workspace)s")
    return int(row["total"]) if row else 0


async def with_versions(scope: Scope, ids: Sequence[UUID]) -> list[UUID]:
    """The evaluations that have the names of these, themselves included."""
    rows = await scope.all(
        "SELECT id FROM evaluations WHERE workspace_id = %(workspace)s AND name IN (SELECT name FROM evaluations"
        " WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)) ORDER BY id",
        ids=list(ids),
    )
    return [row["id"] for row in rows]


async def delete(scope: Scope, evaluation_id: UUID) -> int:
    """Remove an evaluation with all that came of it; says how many there were (0 or 1)."""
    return await scope.run(
        "DELETE FROM evaluations WHERE workspace_id = %(workspace)s AND id = %(id)s", id=evaluation_id
    )


async def begin(scope: Scope, evaluation_id: UUID) -> bool:
    """Note when it began; False when it is gone or has ended."""
    touched = await scope.run(
        "UPDATE evaluations SET started_at = coalesce(started_at, now())"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND outcome IS NULL",
        id=evaluation_id,
    )
    return touched == 1


async def advance(scope: Scope, evaluation_id: UUID, done: int, failed: int) -> tuple[int, int] | None:
    """Count further results; how many there are now, and how many of them failed. None: it is gone or has ended."""
    row = await scope.one(
        "UPDATE evaluations SET done = done + %(done)s, failed = failed + %(failed)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND outcome IS NULL RETURNING done, failed",
        id=evaluation_id,
        done=done,
        failed=failed,
    )
    return (row["done"], row["failed"]) if row else None


async def end(scope: Scope, job_id: UUID, outcome: EvaluationState, error: Mapping[str, Any] | None) -> None:
    """How the evaluation of a job ended, if it is open."""
    await scope.run(
        "UPDATE evaluations SET outcome = %(outcome)s, error = %(error)s, finished_at = now()"
        " WHERE workspace_id = %(workspace)s AND job_id = %(job)s AND outcome IS NULL",
        job=job_id,
        outcome=outcome.value,
        error=None if error is None else Jsonb(dict(error)),
    )


async def reopen(scope: Scope, evaluation_id: UUID, job_id: UUID, *, done: int, failed: int) -> None:
    """Let another job go on with an evaluation that has ended; so many results are left."""
    await scope.run(
        "UPDATE evaluations SET outcome = NULL, error = NULL, finished_at = NULL, summary = NULL, job_id = %(job)s,"
        " done = %(done)s, failed = %(failed)s WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=evaluation_id,
        job=job_id,
        done=done,
        failed=failed,
    )


async def of_job(scope: Scope, job_id: UUID) -> UUID | None:
    """The evaluation that a job runs."""
    row = await scope.one(
        "SELECT id FROM evaluations WHERE workspace_id = %(workspace)s AND job_id = %(job)s", job=job_id
    )
    return row["id"] if row else None


async def summary(scope: Scope, evaluation_id: UUID) -> Any:
    """The summary that is kept of an evaluation, as JSON; None where none is."""
    row = await scope.one(
        "SELECT summary FROM evaluations WHERE workspace_id = %(workspace)s AND id = %(id)s", id=evaluation_id
    )
    return row["summary"] if row else None


async def keep_summary(scope: Scope, evaluation_id: UUID, summary: Mapping[str, Any]) -> None:
    """Keep the summary of an evaluation that has ended, unless it goes on meanwhile."""
    await scope.run(
        "UPDATE evaluations SET summary = %(summary)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND outcome IS NOT NULL",
        id=evaluation_id,
        summary=Jsonb(dict(summary)),
    )
