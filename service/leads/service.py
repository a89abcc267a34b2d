"""Take leads from widgets; show them to those who own the chatflow."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.chatflows.keeping import keeping_of
from service.errors import NotFound
from service.leads import records
from service.leads.types import Lead
from service.resources import Resources
from stores.records.database import Database


async def add(
    resources: Resources,
    chatflow: UUID,
    *,
    chat: str | None,
    name: str | None,
    email: str | None,
    phone: str | None,
    origin: str | None,
) -> Lead:
    """Keep who somebody says that they are, unless the flow keeps nothing of conversations; without a conversation's
    id, they get one.

    Raises `NotFound` for an unknown chatflow, `OriginRefused`.
    """
    known = await chatflows.check_origin(resources, chatflow, origin)
    asked = Lead(uuid4(), chatflow, chat or str(uuid4()), name, email, phone, datetime.now(UTC))
    if not keeping_of(known.flow.api_config).stores(resources.settings):
        return asked
    async with resources.database.write(known.flow.workspace) as scope:
        kept = await records.insert(scope, asked)
    if kept is None:
        raise NotFound(f"Chatflow {chatflow} not found")
    return kept


async def of_flow(database: Database, workspace: UUID, chatflow: UUID, limit: int) -> list[Lead]:
    """The leads of a chatflow, oldest first. Raises `NotFound`."""
    await chatflows.get(database, workspace, chatflow)
    async with database.read(workspace) as scope:
        return await records.of_flow(scope, chatflow, limit)
