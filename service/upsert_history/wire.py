"""The JSON shapes of the upsert history (contract 2.2)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from service.errors import BadRequest
from service.http.wire import Body, Date, Wire
from service.secret_names import TEXTS
from service.upsert_history.types import Entry

MOST_IDS = 1000


class EntryIds(Body):
    """Entries to remove."""

    ids: list[UUID] | None = Field(None, max_length=MOST_IDS, examples=[["0b0f2a53-93f7-4d0f-8f1b-6d4b8cc0a9d3"]])

    def chosen(self) -> list[UUID]:
        """The ids. Raises `BadRequest` when none is given."""
        if not self.ids:
            raise BadRequest("ids: give the id of at least one entry")
        return list(dict.fromkeys(self.ids))


class HistoryEntry(Wire):
    """An upsert that is done. `result` holds the counts; `flowData` how the nodes that took part were configured."""

    id: UUID
    chatflowid: UUID = Field(alias="chatflowid", description="The chatflow, or the document store")
    result: dict[str, Any] = Field(examples=[{"numAdded": 12, "numDeleted": 0, "numUpdated": 0, "numSkipped": 0}])
    flow_data: list[dict[str, Any]] = Field(
        examples=[
            [{"label": "Faiss", "name": "faiss", "category": "Vector Stores", "id": "faiss_0", "paramValues": []}]
        ]
    )
    date: Date


def entry(found: Entry, *, texts: bool) -> HistoryEntry:
    """An entry as callers read it; without `texts`, not the documents that lie in a configuration."""
    return HistoryEntry(
        id=found.id,
        chatflowid=found.target,
        result=dict(found.result),
        flow_data=[dict(item) if texts else _without_texts(item) for item in found.flow_data],
        date=found.created_at,
    )


def _without_texts(node: Mapping[str, Any]) -> dict[str, Any]:
    return {**node, "paramValues": [item for item in node.get("paramValues", ()) if item.get("name") not in TEXTS]}
