"""What a field of a form can be chosen from: models of a service, nodes of a kind, what a workspace has."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from service.chatflows import service as chatflows
from service.chatflows.types import Chatflow, FlowType
from service.document_stores import service as document_stores
from service.nodes import catalogue
from service.nodes.models import MODELS
from service.nodes.wire import NodeDefinition
from service.tools import service as tools

if TYPE_CHECKING:
    from service.resources import Resources

MOST = 1_000
"""Things of a workspace that are listed; the newest of them."""

REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1",
    "eu-west-2", "eu-west-3", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "sa-east-1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a field: what people call it, and what is kept."""

    label: str
    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks what for: the node, and what the editor says of the flow around it."""

    resources: "Resources"
    workspace: UUID
    node: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[Mapping[str, Any], ...] = ()
    """The nodes that come before it, as `data` of the graph."""


Method = Callable[[Asked], Awaitable[list[Choice]]]


async def choices(method: str, asked: Asked) -> list[Choice]:
    """What can be chosen; nothing by a method that there is not."""
    found = METHODS.get(method)
    return await found(asked) if found is not None else []


async def _models(asked: Asked) -> list[Choice]:
    if asked.node.endswith("Agentflow"):
        return _nodes(catalogue.of_category("Chat Models"))
    return [Choice(name, name) for name in MODELS.get(asked.node, ())]


async def _stores(asked: Asked) -> list[Choice]:
    rows, _ = await document_stores.page(asked.resources, asked.workspace, 0, MOST)
    both = asked.node.endswith("Agentflow")  # they keep the name beside the id
    return [Choice(row.name, f"{row.id}:{row.name}" if both else str(row.id), row.description or None) for row in rows]


async def _tools(asked: Asked) -> list[Choice]:
    if asked.node.endswith("Agentflow"):
        return _nodes(catalogue.of_category("Tools"))
    rows, _ = await tools.page(asked.resources.database, asked.workspace, 0, MOST)
    return [Choice(row.name, str(row.id), row.description or None) for row in rows]


async def _flows(asked: Asked, kinds: frozenset[FlowType] = frozenset(FlowType)) -> list[Choice]:
    rows, _ = await chatflows.page(asked.resources.database, asked.workspace, None, 0, MOST)
    return [Choice(row.name, str(row.id), _kind(row)) for row in rows if row.type in kinds]


async def _chatflows(asked: Asked) -> list[Choice]:
    return await _flows(asked, frozenset({FlowType.CHATFLOW, FlowType.MULTIAGENT, FlowType.ASSISTANT}))


async def _agentflows(asked: Asked) -> list[Choice]:
    return await _flows(asked, frozenset({FlowType.AGENTFLOW}))


async def _vector_stores(_asked: Asked) -> list[Choice]:
    return _nodes(item for item in catalogue.of_category("Vector Stores") if item.name != "documentStoreVS")


async def _embeddings(_asked: Asked) -> list[Choice]:
    return _nodes(catalogue.of_category("Embeddings"))


async def _regions(_asked: Asked) -> list[Choice]:
    return [Choice(name, name) for name in REGIONS]


async def _before(asked: Asked) -> list[Choice]:
    return [
        Choice(str(node.get("label") or node.get("id")), f"{node.get('id')}-{node.get('label')}")
        for node in asked.before
        if node.get("id")
    ]


async def _state(asked: Asked) -> list[Choice]:
    rows = [row for node in asked.before for row in _rows(node.get("inputs"), "startState")]
    return [Choice(str(row["key"]), str(row["key"])) for row in rows if row.get("key")]


METHODS: Mapping[str, Method] = {
    "listModels": _models,
    "listStores": _stores,
    "listTools": _tools,
    "listFlows": _flows,
    "listChatflows": _chatflows,
    "listAgentflows": _agentflows,
    "listVectorStores": _vector_stores,
    "listEmbeddings": _embeddings,
    "listRegions": _regions,
    "listPreviousNodes": _before,
    "listRuntimeStateKeys": _state,
}
"""By the names that forms give them (`loadMethod`)."""


def _nodes(found: Iterable[NodeDefinition]) -> list[Choice]:
    return [Choice(item.label, item.name, item.description) for item in found]


def _kind(flow: Chatflow) -> str:
    return flow.type.value.capitalize()


def _rows(inputs: Any, name: str) -> list[Mapping[str, Any]]:
    value = inputs.get(name) if isinstance(inputs, Mapping) else None
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
