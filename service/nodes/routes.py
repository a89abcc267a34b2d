"""Nodes over HTTP (contract 6.7): their definitions and pictures, what fields can be chosen from, what callers may
change, flows to begin with."""

import asyncio
import json
from typing import Annotated, Any

from fastapi import Query, Response

from service.api_keys import service as api_keys
from service.chatflows import graph as graphs
from service.chatflows import service as chatflows
from service.chatflows.routes import Id, flow_id
from service.errors import NotFound
from service.http import icons
from service.http.access import PUBLIC, SIGNED_IN, CurrentWorkspace, Rule, needs
from service.http.routing import Routes
from service.nodes import catalogue
from service.nodes.choices import Asked, choices
from service.nodes.overrides import overrides
from service.nodes.service import NODES
from service.nodes.templates import templates
from service.nodes.wire import Listed, LoadMethod, NodeData, NodeDefinition, Override, Template
from service.resources import CurrentResources

routes = Routes("Components")

AREAS = ("agentflows", "assistants", "chatflows", "documentStores", "tools")
CHOOSE = Rule(scopes=api_keys.scopes_of(*AREAS), told=tuple(f"{area}:*" for area in AREAS))
"""Any permission of whoever fills in forms: what the workspace has is listed there by name."""

MARKETPLACE = needs("templates:marketplace")


@routes.get(
    "/nodes",
    SIGNED_IN,
    summary="List nodes",
    response_model=list[NodeDefinition],
    response_model_exclude_none=True,
)
async def list_nodes(
    client: Annotated[str, Query(description="`agentflowsv2`: only what agentflows are made of")] = "",
) -> Any:
    """Every node that a flow may hold and this service can run, as editors read it."""
    return list(await asyncio.to_thread(catalogue.of_client, client))


@routes.get(
    "/nodes/category/{name}",
    SIGNED_IN,
    summary="List the nodes of a category",
    response_model=list[NodeDefinition],
    response_model_exclude_none=True,
)
async def list_nodes_of_category(name: str) -> list[NodeDefinition]:
    """The nodes of a category such as `Chat Models`; none of one that there is not."""
    return await asyncio.to_thread(catalogue.of_category, name)


@routes.get(
    "/nodes/{name}",
    SIGNED_IN,
    errors=(404,),
    summary="Read a node",
    response_model=NodeDefinition,
    response_model_exclude_none=True,
)
async def get_node(name: str) -> NodeDefinition:
    """What a node takes and gives."""
    return await _known(name)


@routes.get(
    "/node-icon/{name}",
    PUBLIC,
    errors=(404,),
    summary="The picture of a node",
    responses=icons.described("pdfFile", "Pdf File"),
    response_class=Response,
)
async def get_node_icon(name: str) -> Response:
    """A neutral picture with the node's letters, as forms show it."""
    label = NODES[name].label if name in NODES else (await _known(name)).label
    return icons.answer(name, label)


@routes.post(
    "/node-config",
    SIGNED_IN,
    summary="What callers could change of a node",
    response_model=list[Override],
    response_model_exclude_none=True,
)
async def list_node_overrides(body: NodeData) -> list[Override]:
    """The fields of a node that `apiConfig.overrideConfig` can open. A field that takes files is listed by its own name
    and as `files`; either opens it."""
    return await asyncio.to_thread(overrides, [body.model_dump(by_alias=True)])


@routes.get(
    "/flow-config/{id}",
    SIGNED_IN,
    errors=(400, 404),
    summary="What callers could change of a chatflow",
    response_model=list[Override],
    response_model_exclude_none=True,
)
async def list_flow_overrides(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> list[Override]:
    """As `POST /node-config`, of every node of a chatflow."""
    flow = await chatflows.get(resources.database, workspace, flow_id(id))
    return await asyncio.to_thread(_overrides_of, flow.flow_data)


@routes.post(
    "/node-load-method/{name}",
    CHOOSE,
    errors=(404,),
    summary="What a node's field can be chosen from",
    response_model=list[Listed],
    response_model_exclude_none=True,
)
async def load_choices(
    name: str, body: LoadMethod, resources: CurrentResources, workspace: CurrentWorkspace
) -> list[Listed]:
    """Lists what the field's `loadMethod` names: models of a service, nodes of a kind, or what the workspace has of
    document stores, tools and flows. Nothing by a method that there is not."""
    await _known(name)
    asked = Asked(resources, workspace, name, body.inputs or {}, tuple(body.previous_nodes or ()))
    found = await choices(body.load_method, asked)
    return [Listed(label=item.label, name=item.name, description=item.description) for item in found]


@routes.get(
    "/marketplaces/templates",
    MARKETPLACE,
    summary="List flows to begin with",
    response_model=list[Template],
)
async def list_templates() -> list[Template]:
    """This service's own templates; their `flowData` is what `POST /chatflows` takes."""
    return list(await asyncio.to_thread(templates))


async def _known(name: str) -> NodeDefinition:
    found = await asyncio.to_thread(catalogue.find_node, name)
    if found is None:
        raise NotFound(f"Node {name[:100]} not found")
    return found


def _overrides_of(flow_data: str) -> list[Override]:
    graph = graphs.parse(flow_data)
    raw = [node["data"] | {"id": node.get("id") or node["data"].get("id")} for node in json.loads(flow_data)["nodes"]]
    return overrides(node for node in raw if node["id"] in graph.nodes)
