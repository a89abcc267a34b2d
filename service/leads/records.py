"""The rows of leads."""

from uuid import UUID

from psycopg.rows import DictRow

from service.leads.types import Lead
from stores.records.database import Scope


def _lead(row: DictRow) -> Lead:
    return Lead(
        id=row["id"],
        chatflow=row["chatflow_id"],
        chat=row["chat_id"],
        name=row["name"],
        email=row["email"],
        phone=row["phone"],
        created_at=row["created_at"],
    )


async def insert(scope: Scope, lead: Lead) -> Lead | None:
    """Keep a lead; None when the chatflow is gone."""
    row = await scope.one(
        "INSERT INTO leads (id, workspace_id, chatflow_id, chat_id, name, email, phone)"
        " SELECT %(id)s, f.workspace_id, f.id, %(chat)s, %(name)s, %(email)s, %(phone)s FROM chatflows f"
        " WHERE f.workspace_id = %(workspace)s AND f.id = %(chatflow)s FOR KEY SHARE OF f RETURNING *",
        id=lead.id,
        chatflow=lead.chatflow,
        chat=lead.chat,
        name=lead.name,
        email=lead.email,
        phone=lead.phone,
    )
    return _lead(row) if row else None


async def of_flow(scope: Scope, chatflow: UUID, limit: int) -> list[Lead]:
    """The leads of a chatflow, oldest first."""
    rows = await scope.all(
        "SELECT * FROM leads WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " ORDER BY created_at, id LIMIT %(limit)s",
        chatflow=chatflow,
        limit=limit,
    )
    return [_lead(row) for row in rows]
