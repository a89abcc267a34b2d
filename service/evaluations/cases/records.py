"""The rows that evaluations ask, copied when one is made, and the results of cases: a row each, once it is finished."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from service.datasets.types import GoldKind as NamedBy
from service.evaluations.types import (
    GOLD_KINDS,
    KEPT_TEXT,
    KEPT_TEXTS,
    Attempt,
    CaseResult,
    EvaluatedRow,
    Gold,
    Passage,
    Result,
    ResultFilter,
    Score,
    ScoreRow,
    Sort,
    Taken,
)
from stores.records.database import Scope

# Rows


def _golds(kept: Sequence[Mapping[str, str]], grades: object) -> tuple[Gold, ...]:
    """Gold sources, graded where the row's metadata say so (`grades`: a number above 0 by what names the source)."""
    told = grades if isinstance(grades, Mapping) else {}
    golds = []
    for item in kept:
        for kind, value in item.items():
            grade = told.get(value, 1.0)
            graded = isinstance(grade, int | float) and not isinstance(grade, bool) and 0 < grade <= 1000
            golds.append(Gold(GOLD_KINDS[NamedBy(kind)], value, float(grade) if graded else 1.0))
    return tuple(golds)


def _row(row: DictRow) -> EvaluatedRow:
    return EvaluatedRow(
        id=row["id"],
        row=row["row_id"],
        place=row["place"],
        question=row["input"],
        expected=row["output"],
        gold=_golds(row["sources"], row["metadata"].get("grades")),
        metadata=row["metadata"],
    )


async def copy_rows(scope: Scope, evaluation_id: UUID, dataset_id: UUID) -> int:
    """Copy the rows of a dataset as they are now, in their order, drafts left out; says how many."""
    return await scope.run(
        "INSERT INTO evaluation_rows (workspace_id, evaluation_id, place, row_id, input, output, sources, metadata)"
        " SELECT %(workspace)s, %(evaluation)s, row_number() OVER (ORDER BY sequence_no, ordinal) - 1, id, input,"
        " output, sources, metadata FROM dataset_rows"
        " WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s AND NOT draft",
        evaluation=evaluation_id,
        dataset=dataset_id,
    )


async def rows(scope: Scope, evaluation_id: UUID, start: int, size: int) -> list[EvaluatedRow]:
    """So many rows from this place on: every page costs the same, the last one too."""
    found = await scope.all(
        "SELECT * FROM evaluation_rows WHERE workspace_id = %(workspace)s AND evaluation_id = %(evaluation)s"
        " AND place >= %(start)s ORDER BY place LIMIT %(size)s",
        evaluation=evaluation_id,
        start=start,
        size=size,
    )
    return [_row(row) for row in found]


# Results


def _score_json(score: Score) -> dict[str, Any]:
    shown = score.as_json()
    shown.pop("details", None)
    return shown


def _taken_json(taken: Taken) -> dict[str, Any]:
    values = {
        "latency": taken.latency,
        "firstToken": taken.first_token,
        "model": taken.model,
        "chain": taken.chain,
        "inputTokens": taken.input_tokens,
        "outputTokens": taken.output_tokens,
        "cost": taken.cost,
    }
    return {name: value for name, value in values.items() if value is not None}


def _taken(kept: Mapping[str, Any]) -> Taken:
    return Taken(
        latency=kept.get("latency"),
        first_token=kept.get("firstToken"),
        model=kept.get("model"),
        chain=kept.get("chain"),
        input_tokens=kept.get("inputTokens"),
        output_tokens=kept.get("outputTokens"),
        cost=kept.get("cost"),
    )


def _passage_json(place: int, item: Passage) -> dict[str, Any]:
    return {
        "id": item.chunk_id,
        "documentId": item.document_id,
        "sources": list(item.sources),
        "score": item.score,
        **({} if item.number is None else {"number": item.number}),
        **({"text": item.text[:KEPT_TEXT]} if place < KEPT_TEXTS else {}),
    }


def _passage(kept: Mapping[str, Any]) -> Passage:
    return Passage(
        text=kept.get("text", ""),
        chunk_id=kept["id"],
        document_id=kept["documentId"],
        sources=tuple(kept["sources"]),
        number=kept.get("number"),
        score=kept["score"],
    )


def _scores(kept: Mapping[str, Any], details: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Score]:
    """The scores in the order of the labels, which the database has forgotten."""
    return {
        label: Score.from_json({**kept[label], "details": details[label]} if label in details else kept[label])
        for label in labels
        if label in kept
    }


def _result(row: DictRow, labels: Sequence[str]) -> Result:
    return Result(
        place=row["place"],
        target=row["target"],
        repeat=row["repeat"],
        answer=row["answer"],
        found=None if row["found"] is None else tuple(_passage(item) for item in row["found"]),
        taken=_taken(row["taken"]),
        details=row["details"],
        scores=_scores(row["scores"], row["score_details"], labels),
        error=row["error"],
        attempts=tuple(Attempt(item["error"], item["status"], item["waited"]) for item in row["attempts"]),
        finished_at=row["finished_at"],
    )


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, default=str)


_ADD: LiteralString = """
    INSERT INTO evaluation_results (workspace_id, evaluation_id, place, target, repeat, answer, found, taken, latency,
        details, scores, score_details, error, broken, attempts)
    SELECT %(workspace)s, %(evaluation)s, given.*
    FROM json_to_recordset(%(results)s::json) AS given (place int, target int, repeat int, answer text, found jsonb,
        taken jsonb, latency float8, details jsonb, scores jsonb, score_details jsonb, error text, broken boolean,
        attempts jsonb)
    ON CONFLICT DO NOTHING
"""
# One JSON text: arrays of texts, which are escaped once more, take several times as long to make.


def _result_json(item: Result) -> dict[str, Any]:
    return {
        "place": item.place,
        "target": item.target,
        "repeat": item.repeat,
        "answer": item.answer,
        "found": None if item.found is None else [_passage_json(*placed) for placed in enumerate(item.found)],
        "taken": _taken_json(item.taken),
        "latency": item.taken.latency,
        "details": dict(item.details),
        "scores": {label: _score_json(score) for label, score in item.scores.items()},
        "score_details": {label: dict(score.details) for label, score in item.scores.items() if score.details},
        "error": item.error,
        "broken": bool(item.error) or any(score.error for score in item.scores.values()),
        "attempts": [{"error": one.error, "status": one.status, "waited": one.waited} for one in item.attempts],
    }


async def add(scope: Scope, evaluation_id: UUID, results: Sequence[Result]) -> int:
    """Keep results in one statement; says how many. Of a case that has one already nothing changes."""
    kept = [_result_json(item) for item in results]
    return await scope.run(_ADD, evaluation=evaluation_id, results=_json(kept))


async def finished(scope: Scope, evaluation_id: UUID, start: int, end: int) -> set[tuple[int, int, int]]:
    """The cases of the rows from `start` to before `end` that have results: place, target, repeat."""
    found = await scope.all(
        "SELECT place, target, repeat FROM evaluation_results WHERE workspace_id = %(workspace)s"
        " AND evaluation_id = %(evaluation)s AND place >= %(start)s AND place < %(end)s",
        evaluation=evaluation_id,
        start=start,
        end=end,
    )
    return {(row["place"], row["target"], row["repeat"]) for row in found}


async def counts(scope: Scope, evaluation_id: UUID) -> tuple[int, int]:
    """How many results there are, and how many of these failed."""
    row = await scope.one(
        "SELECT count(*) AS done, count(*) FILTER (WHERE error <> '') AS failed FROM evaluation_results"
        " WHERE workspace_id = %(workspace)s AND evaluation_id = %(evaluation)s",
        evaluation=evaluation_id,
    )
    return (int(row["done"]), int(row["failed"])) if row else (0, 0)


async def forget_broken(scope: Scope, evaluation_id: UUID) -> int:
    """Remove the results of cases that failed or hold an error, so that they are asked again; says how many."""
    return await scope.run(
        "DELETE FROM evaluation_results WHERE workspace_id = %(workspace)s AND evaluation_id = %(evaluation)s"
        " AND broken",
        evaluation=evaluation_id,
    )


async def forget_after(scope: Scope, evaluation_id: UUID) -> int:
    """Remove what follows the first result that is broken, of each target and repeat: of a conversation nothing
    counts that was said behind a turn which is asked again; says how many."""
    return await scope.run(
        "DELETE FROM evaluation_results r USING (SELECT target, repeat, min(place) AS place FROM evaluation_results"
        " WHERE workspace_id = %(workspace)s AND evaluation_id = %(evaluation)s AND broken GROUP BY target, repeat)"
        " AS first WHERE r.workspace_id = %(workspace)s AND r.evaluation_id = %(evaluation)s"
        " AND r.target = first.target AND r.repeat = first.repeat AND r.place >= first.place",
        evaluation=evaluation_id,
    )


async def first_missing(scope: Scope, evaluation_id: UUID, target: int, repeat: int) -> int:
    """The place behind those that a conversation, which is asked in order, has results of."""
    row = await scope.one(
        "SELECT coalesce(max(place) + 1, 0) AS place FROM evaluation_results WHERE workspace_id = %(workspace)s"
        " AND evaluation_id = %(evaluation)s AND target = %(target)s AND repeat = %(repeat)s",
        evaluation=evaluation_id,
        target=target,
        repeat=repeat,
    )
    return int(row["place"]) if row else 0


async def turns(
    scope: Scope, evaluation_id: UUID, target: int, repeat: int, before: int, size: int
) -> list[tuple[str, str]]:
    """The last `size` questions of a conversation before this place that were answered, oldest first, with the
    answers."""
    found = await scope.all(
        "SELECT w.input, r.answer FROM evaluation_results r JOIN evaluation_rows w USING (evaluation_id, place)"
        " WHERE r.workspace_id = %(workspace)s AND r.evaluation_id = %(evaluation)s AND r.target = %(target)s"
        " AND r.repeat = %(repeat)s AND r.place < %(before)s AND r.error = '' AND r.answer IS NOT NULL"
        " ORDER BY r.place DESC LIMIT %(size)s",
        evaluation=evaluation_id,
        target=target,
        repeat=repeat,
        before=before,
        size=size,
    )
    return [(row["input"], row["answer"]) for row in reversed(found)]


_CHOSEN: LiteralString = (
    " FROM evaluation_results r JOIN evaluation_rows w USING (evaluation_id, place)"
    " WHERE r.workspace_id = %(workspace)s AND r.evaluation_id = %(evaluation)s"
    " AND (%(target)s::int IS NULL OR r.target = %(target)s)"
    " AND (%(broken)s::boolean IS NULL OR r.broken = %(broken)s)"
)

_HOW_MANY: LiteralString = "SELECT count(*) AS total"
_WITH_ROW: LiteralString = "SELECT r.*, w.id, w.row_id, w.input, w.output, w.sources, w.metadata"

_PLACED: LiteralString = "r.place, r.target, r.repeat"

_ORDERED: Mapping[Sort, LiteralString] = {
    Sort.ORDER: " ORDER BY " + _PLACED,
    Sort.SCORE: " ORDER BY (r.scores -> %(label)s ->> 'value')::float8 * %(sign)s ASC NULLS LAST, " + _PLACED,
    Sort.SLOWEST: " ORDER BY r.latency DESC NULLS LAST, " + _PLACED,
}


async def page(
    scope: Scope,
    evaluation_id: UUID,
    chosen: ResultFilter,
    offset: int,
    size: int,
    *,
    labels: Sequence[str],
    lower_is_better: bool = False,
) -> tuple[list[CaseResult], int]:
    """Results with their rows, scores by these labels, and how many results there are of them; with `Sort.SCORE` the
    worst come first."""
    wanted: dict[str, Any] = {"evaluation": evaluation_id, "target": chosen.target, "broken": chosen.errors}
    found = await scope.all(
        _WITH_ROW + _CHOSEN + _ORDERED[chosen.sort] + " LIMIT %(size)s OFFSET %(offset)s",
        **wanted,
        label=chosen.label,
        sign=-1.0 if lower_is_better else 1.0,
        size=size,
        offset=offset,
    )
    total = await scope.one(_HOW_MANY + _CHOSEN, **wanted)
    return [CaseResult(_row(row), _result(row, labels)) for row in found], int(total["total"]) if total else 0


async def of_rows(scope: Scope, evaluation_id: UUID, start: int, end: int, labels: Sequence[str]) -> list[Result]:
    """The results of the rows from `start` to before `end`, by row, target and repeat, with scores by these labels."""
    found = await scope.all(
        "SELECT * FROM evaluation_results WHERE workspace_id = %(workspace)s AND evaluation_id = %(evaluation)s"
        " AND place >= %(start)s AND place < %(end)s ORDER BY place, target, repeat",
        evaluation=evaluation_id,
        start=start,
        end=end,
    )
    return [_result(row, labels) for row in found]


# Scores


async def scores(scope: Scope, evaluation_id: UUID, target: int, label: str) -> list[ScoreRow]:
    """The scores of a target by one measure, without their details, in the order of the rows."""
    found = await scope.all(
        "SELECT r.place, r.repeat, w.row_id, r.scores -> %(label)s AS score FROM evaluation_results r"
        " JOIN evaluation_rows w USING (evaluation_id, place)"
        " WHERE r.workspace_id = %(workspace)s AND r.evaluation_id = %(evaluation)s AND r.target = %(target)s"
        " AND r.scores ? %(label)s ORDER BY r.place, r.repeat",
        evaluation=evaluation_id,
        target=target,
        label=label,
    )
    return [ScoreRow(row["place"], row["row_id"], row["repeat"], Score.from_json(row["score"])) for row in found]


async def verdicts(scope: Scope, evaluation_id: UUID, labels: Sequence[str]) -> tuple[int, int, int]:
    """How many verdicts of these measures pass, do not, and could not be had."""
    row = await scope.one(
        "SELECT count(*) FILTER (WHERE (s.value ->> 'value')::float8 >= 1) AS passed,"
        " count(*) FILTER (WHERE (s.value ->> 'value')::float8 < 1) AS refused,"
        " count(*) FILTER (WHERE NOT s.value ? 'value') AS broken"
        " FROM evaluation_results r CROSS JOIN LATERAL jsonb_each(r.scores) AS s"
        " WHERE r.workspace_id = %(workspace)s AND r.evaluation_id = %(evaluation)s AND s.key = ANY(%(labels)s)",
        evaluation=evaluation_id,
        labels=list(labels),
    )
    assert row is not None
    return row["passed"], row["refused"], row["broken"]


async def by_target(scope: Scope, evaluation_id: UUID) -> list[tuple[int, int, int, int, float]]:
    """Of each target its place, how many cases have results, how many of these failed, how many were timed, and the
    sum of their latencies."""
    found = await scope.all(
        "SELECT target, count(*) AS cases, count(*) FILTER (WHERE error <> '') AS failed,"
        " count(latency) AS timed, coalesce(sum(latency), 0) AS latency FROM evaluation_results"
        " WHERE workspace_id = %(workspace)s AND evaluation_id = %(evaluation)s GROUP BY target ORDER BY target",
        evaluation=evaluation_id,
    )
    return [(row["target"], row["cases"], row["failed"], row["timed"], row["latency"]) for row in found]
