"""Which document stores a flow names: noted beside its graph, which is sealed, so that they can say where they are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from service.chatflows import graph as graphs
from service.chatflows import records
from service.chatflows.graph import Graph
from service.chatflows.types import BrokenGraph
from service.json_text import parsed

if TYPE_CHECKING:
    from service.resources import Resources

FIELDS = frozenset({"selectedStore", "documentStore"})
"""Fields that choose a document store, as `id` or `id:name`, in whatever node or row of one."""

LISTS = frozenset({"agentKnowledgeDocumentStores", "retrieverKnowledgeDocumentStores"})
"""Fields of agentflows whose rows choose document stores; they may be JSON texts."""

AT_ONCE = 200
"""Flows that are read in one go."""


def document_stores_in(graph: Graph) -> list[UUID]:
    """The document stores that nodes choose, those included that only upserts read or that no link leads to."""
    found: set[UUID] = set()
    pending: list[tuple[str, Any]] = [("", node.inputs) for node in graph.nodes.values()]
    while pending:
        name, value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.items()
        elif isinstance(value, list):
            pending += [(name, item) for item in value]
        elif isinstance(value, str) and name in LISTS:
            pending.append(("", _rows(value)))
        elif isinstance(value, str) and name in FIELDS and (store := _chosen(value)):
            found.add(store)
    return sorted(found)


def _rows(text: str) -> Any:
    try:
        return parsed(text)
    except ValueError:
        return None


def _chosen(text: str) -> UUID | None:
    try:
        return UUID(text.partition(":")[0].strip())
    except ValueError:
        return None  # nothing is chosen, or only a run says which


async def note_rest(resources: "Resources") -> int:
    """Note the document stores of flows that were kept by code that noted none; says how many flows. Any number of
    workers may do so."""
    noted = 0
    while True:
        async with resources.database.connection() as connection:
            found = await records.unread(connection, AT_ONCE)
        for workspace, flow_id in found:
            async with resources.database.write(workspace) as scope:
                flow = await records.get(scope, flow_id, lock=True)
                if flow is not None:
                    await records.note_uses(scope, flow_id, _kept(flow.flow_data))
                    noted += 1
        if len(found) < AT_ONCE:
            return noted


def _kept(flow_data: str) -> list[UUID]:
    try:
        return document_stores_in(graphs.parse(flow_data))
    except BrokenGraph:
        return []  # of before such were refused
