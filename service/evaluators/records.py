"""The rows of evaluators."""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.evaluators.types import Evaluator, EvaluatorDraft, EvaluatorType
from stores.records.database import Scope


def _evaluator(row: DictRow) -> Evaluator:
    return Evaluator(
        id=row["id"],
        workspace=row["workspace_id"],
        name=row["name"],
        type=EvaluatorType(row["type"]),
        config=row["config"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def insert(scope: Scope, evaluator_id: UUID, draft: EvaluatorDraft) -> Evaluator:
    """A new evaluator."""
    row = await scope.one(
        "INSERT INTO evaluators (id, workspace_id, name, type, config)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(type)s, %(config)s) RETURNING *",
        id=evaluator_id,
        name=draft.name,
        type=draft.type.value,
        config=Jsonb(dict(draft.config)),
    )
    assert row is not None
    return _evaluator(row)


async def update(scope: Scope, evaluator_id: UUID, draft: EvaluatorDraft) -> Evaluator | None:
    """The evaluator with these columns; None when there is none."""
    row = await scope.one(
        "UPDATE evaluators SET name = %(name)s, type = %(type)s, config = %(config)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *",
        id=evaluator_id,
        name=draft.name,
        type=draft.type.value,
        config=Jsonb(dict(draft.config)),
    )
    return _evaluator(row) if row else None


async def get(scope: Scope, evaluator_id: UUID) -> Evaluator | None:
    """An evaluator of the workspace."""
    row = await scope.one(
        "SELECT * FROM evaluators WHERE workspace_id = %(workspace)s AND id = %(id)s", id=evaluator_id
    )
    return _evaluator(row) if row else None


async def lock(scope: Scope, evaluator_id: UUID) -> Evaluator | None:
    """An evaluator of the workspace, held against other writers until the transaction ends."""
    row = await scope.one(
        "SELECT * FROM evaluators WHERE workspace_id = %(workspace)s AND id = %(id)s FOR UPDATE", id=evaluator_id
    )
    return _evaluator(row) if row else None


async def named(scope: Scope, ids: Sequence[UUID]) -> list[Evaluator]:
    """Those of the ids that the workspace has."""
    rows = await scope.all(
        "SELECT * FROM evaluators WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)", ids=list(ids)
    )
    return [_evaluator(row) for row in rows]


async def page(scope: Scope, offset: int, size: int) -> tuple[Sequence[Evaluator], int]:
    """Evaluators, last changed first, and how many there are in all."""
    rows = await scope.all(
        "SELECT * FROM evaluators WHERE workspace_id = %(workspace)s"
        " ORDER BY updated_at DESC, id LIMIT %(size)s OFFSET %(offset)s",
        size=size,
        offset=offset,
    )
    return [_evaluator(row) for row in rows], await count(scope)


async def count(scope: Scope) -> int:
    """How many evaluators the workspace has."""
    row = await scope.one("SELECT count(*) AS total FROM evaluators WHERE workspace_id = %(workspace)s")
    return int(row["total"]) if row else 0


async def delete(scope: Scope, evaluator_id: UUID) -> int:
    """Remove an evaluator; says how many there were (0 or 1)."""
    return await scope.run("DELETE FROM evaluators WHERE workspace_id = %(workspace)s AND id = %(id)s", id=evaluator_id)
