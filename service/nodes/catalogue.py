"""Every node that a flow may hold, as editors and clients read it: steps, components of document stores, the nodes of
agentflows."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from service.agentflows.nodes import NODES as AGENTFLOW_NODES
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import Step
from service.nodes import agentflows
from service.nodes.service import NODES, find
from service.nodes.types import Category, Field, Node
from service.nodes.wire import NodeDefinition, definition, definition_of
from service.plugins import resolve

STICKY_NOTE = Node(
    "stickyNote",
    "Sticky Note",
    Category.UTILITIES,
    "A remark for people",
    (Field("note", "Note", optional=True, rows=4),),
    version=2,
    base_classes=("StickyNote",),
)
DOCUMENTS = Node(
    "documentStore",
    "Document Store",
    Category.LOADERS,
    "The documents of a document store, for a vector store of the flow",
    (agentflows.listed("selectedStore", "Select Store", "listStores"),),
    base_classes=("Document",),
)
"""A loader of flows: upserts copy what it names, document stores do not have it."""

IN_AGENTFLOWS = frozenset(
    {"Agent Flows", "Chat Models", "Embeddings", "Tools", "Tools (MCP)", "Vector Stores", "Utilities"}
)
"""Categories of what agentflows are made of: their nodes, and what these choose from."""

ELSEWHERE_KEPT = frozenset({"pgvector", "local", "minilm", "multilingual", "sentence_transformers"})
"""Components of document stores that no node of a flow is."""


def find_node(name: str) -> NodeDefinition | None:
    """The node of this name; None for one that there is not."""
    for node in _own():
        if node.name == name:
            return definition(node)
    known = find(name)
    if known is not None and name not in ELSEWHERE_KEPT and (name not in STEPS or _is_component(known)):
        return definition(known)
    if name not in STEPS:
        return None
    step: type[Step] = resolve(STEPS, name, "node")
    return definition_of(step.form(name))


@lru_cache(1)
def everything() -> tuple[NodeDefinition, ...]:
    """Every node, by category and label. The first call imports every step."""
    names = {*STEPS, *(node.name for node in _own()), *(NODES.keys() - ELSEWHERE_KEPT)}
    found = [made for name in names if (made := find_node(name)) is not None]
    return tuple(sorted(found, key=lambda made: (made.category, made.label.lower(), made.name)))


def of_client(client: str) -> Iterable[NodeDefinition]:
    """The nodes that an editor offers: `agentflowsv2` those of agentflows, every other one all of them."""
    if client != "agentflowsv2":
        return everything()
    return [made for made in everything() if made.category in IN_AGENTFLOWS]


def of_category(category: str) -> list[NodeDefinition]:
    """The nodes of a category; none of one that there is not."""
    return [made for made in everything() if made.category == category]


def _own() -> Iterator[Node]:
    """The nodes that have rows here."""
    yield STICKY_NOTE
    yield DOCUMENTS
    for row in agentflows.ROWS:
        if row.name in AGENTFLOW_NODES or row.name == "stickyNoteAgentflow":
            yield row


def _is_component(node: Node) -> bool:
    """Whether the row of a document store's component says more of a node than its step does."""
    return node.category in (Category.VECTOR_STORES, Category.EMBEDDINGS)
