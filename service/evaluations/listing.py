"""Evaluations with the figures that lists show beside them."""

from collections.abc import Sequence
from uuid import UUID

from service.evaluations import service
from service.evaluations.outcomes import records
from service.evaluations.types import Evaluation, Figures
from stores.records.database import Database

Told = tuple[Evaluation, Figures]


async def listed(database: Database, workspace: UUID, offset: int, size: int) -> tuple[list[Told], int]:
    """All versions of a page of names, as `service.page` gives them, and how many names there are."""
    found, total = await service.page(database, workspace, offset, size)
    return await with_figures(database, workspace, found), total


async def with_figures(database: Database, workspace: UUID, found: Sequence[Evaluation]) -> list[Told]:
    """These evaluations with what evaluators said of them."""
    async with database.read(workspace) as scope:
        figures = await records.figures(scope, found) if found else {}
    return [(item, figures.get(item.id, Figures())) for item in found]


async def told(database: Database, workspace: UUID, evaluation_id: UUID) -> Told:
    """One of them. Raises `NotFound`."""
    (only,) = await with_figures(database, workspace, [await service.get(database, workspace, evaluation_id)])
    return only
