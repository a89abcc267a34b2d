"""Questions that say by an id what must be found: copies of a document store have ids of their own."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.cli.client import Client
from service.cli.exits import UsageProblem
from service.cli.suites.plan import Plan

PAGE = 1000
"""Rows that are read at once."""


def refuse_ids(client: Client, plan: Plan, dataset: str) -> None:
    """Raises `UsageProblem` when questions name chunks or documents by their ids: in copies, none of them would be
    found, and settings would seem worse that are not."""
    named = sum(_by_id(row) for row in (plan.rows if plan.rows is not None else _rows(client, dataset)))
    if named:
        raise UsageProblem(
            f"{plan.file}: dataset: {named} of its questions name chunks or documents by ids, which no copy with"
            " another splitter or embedding has: name files or quotes instead (`ragstone dataset draft … --gold quote`)"
        )


def _by_id(row: Mapping[str, Any]) -> bool:
    return not row["draft"] and any({"chunkId", "documentId"} & source.keys() for source in row["sources"])


def _rows(client: Client, dataset: str) -> Iterator[Mapping[str, Any]]:
    page, total = 1, 1
    while (page - 1) * PAGE < total:
        found = client.get(f"/datasets/set/{dataset}", page=page, limit=PAGE, draft=False)
        total = found["total"]
        yield from found["rows"]
        page += 1
