"""Reports on evaluations."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from service import __version__
from service.reports import gathering
from service.reports.shown import run_of
from service.reports.types import Report
from service.resources import Resources


async def report(resources: Resources, workspace: UUID, evaluation_id: UUID, other_id: UUID | None = None) -> Report:
    """What a page shows of an evaluation, or of two: the other one is held against it. Raises `NotFound`, and
    `Unprocessable` for two of different datasets, or without targets that fit."""
    ids = [evaluation_id] if other_id is None or other_id == evaluation_id else [evaluation_id, other_id]
    gathered = await gathering.opened(resources.database, workspace, ids)
    pairs = await gathering.pairs(gathered)
    await gathering.read_scores(gathered)
    told = gathering.summaries(gathered)
    letters = "AB" if len(ids) > 1 else [""]
    names = [f"{run.name}, version {run.version}" for run in gathered.runs]
    return Report(
        title=" against ".join(reversed(names)),
        written=datetime.now(UTC),
        version=__version__,
        runs=[run_of(run, letter) for run, letter in zip(gathered.runs, letters, strict=True)],
        columns=gathered.columns,
        measures=gathered.measures,
        summaries=told,
        series=gathered.series,
        pairs=pairs,
        listings=await gathering.listings(gathered, pairs),
        faults=gathering.faults(gathered, told),
        remarks=gathering.remarks(gathered),
    )


async def page(resources: Resources, workspace: UUID, evaluation_id: UUID, other_id: UUID | None = None) -> str:
    """The report as an HTML page that needs nothing else. Raises what `report` raises."""
    found = await report(resources, workspace, evaluation_id, other_id)
    return await asyncio.to_thread(_written, found)


def _written(found: Report) -> str:
    from service.reports.page import rendered  # what it draws and writes with is loaded by who asks for a page

    return rendered(found)


def policy() -> str:
    """The Content-Security-Policy that a page is to be sent with."""
    from service.reports.page import policy as of_page

    return of_page()
