"""Which vector store of a graph an upsert is for (contract 2.1)."""

from collections.abc import Sequence

from service.chatflows.elsewhere import VECTOR_STORES
from service.chatflows.engine import STORES, instead_of
from service.chatflows.graph import Graph, Node
from service.chatflows.steps import STEPS
from service.chatflows.steps.document_store import DocumentStoreVS
from service.chatflows.steps.vector_store import VectorStore
from service.flow_upserts.types import AmbiguousStore, NoStore
from service.plugins import resolve


def kind_of(node: Node) -> type[VectorStore] | None:
    """The step of a node that can be filled; None for every other node."""
    if node.name not in STEPS:
        return None
    kind = resolve(STEPS, node.name, "node")
    return kind if issubclass(kind, VectorStore) else None


def takes_files(node: Node) -> bool:
    """Whether conversations may bring files to a vector store."""
    value = node.inputs.get("fileUpload")
    return value is True or (isinstance(value, str) and value.lower() == "true")


def stores_of(graph: Graph) -> list[Node]:
    """The nodes that are filled by upserts; those that stand for a document store are filled by its own routes."""
    nodes = graph.nodes.values()
    return [node for node in nodes if kind_of(node) or (_is_store(node) and not _is_document_store(node))]


def choose(graph: Graph, stop_node: str) -> Node:
    """The vector store to fill: the one that is named, else the only one that takes files, else the only one.

    Raises `NoStore`, `AmbiguousStore`, both naming the nodes.
    """
    node = _named(graph, stop_node) if stop_node else _only(graph)
    if kind_of(node) is None:
        raise NoStore(f"{node.title}: {instead_of(node)}")
    return node


def widget_store(graph: Graph) -> Node | None:
    """The one vector store that takes files of conversations, if there is exactly one and it can be filled here."""
    found = [node for node in stores_of(graph) if takes_files(node)]
    return found[0] if len(found) == 1 and kind_of(found[0]) else None


def _is_store(node: Node) -> bool:
    return node.category == STORES or node.name in VECTOR_STORES


def _is_document_store(node: Node) -> bool:
    return node.name in STEPS and issubclass(resolve(STEPS, node.name, "node"), DocumentStoreVS)


def _named(graph: Graph, stop_node: str) -> Node:
    node = graph.nodes.get(stop_node)
    if node is None:
        raise NoStore(f"stopNodeId: there is no node '{stop_node[:100]}'. {_known(stores_of(graph))}")
    if _is_document_store(node):
        raise _filled_elsewhere(node)
    if kind_of(node) is None and not _is_store(node):
        raise NoStore(f"stopNodeId: {node.title} is no vector store. {_known(stores_of(graph))}")
    return node


def _only(graph: Graph) -> Node:
    stores = stores_of(graph)
    with_files = [node for node in stores if takes_files(node)]
    if len(with_files) > 1:
        raise AmbiguousStore(f"Several vector stores have fileUpload on; name one as stopNodeId. {_known(with_files)}")
    if with_files:
        return with_files[0]
    if len(stores) > 1:
        raise AmbiguousStore(f"The chatflow has several vector stores; name one as stopNodeId. {_known(stores)}")
    if not stores:
        for node in graph.nodes.values():
            if _is_document_store(node):
                raise _filled_elsewhere(node)
        raise NoStore("The chatflow has no vector store")
    return stores[0]


def _filled_elsewhere(node: Node) -> NoStore:
    selected = str(node.inputs.get("selectedStore") or "")[:100]
    where = f"/api/v1/document-store/upsert/{selected or '{id}'}"
    return NoStore(f"{node.title} reads a document store; upsert into that: POST {where}")


def _known(stores: Sequence[Node]) -> str:
    names = ", ".join(node.id for node in stores)
    return f"The vector stores are: {names}." if names else "The chatflow has no vector store."
