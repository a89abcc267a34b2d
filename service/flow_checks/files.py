"""Reads what users export: a bare graph of the editor, a chatflow of the API, or a whole workspace; and writes the
first of these."""

import json
from collections.abc import Mapping
from typing import Any

from service.chatflows import graph as graphs
from service.chatflows.types import FlowType
from service.flow_checks.types import Exported, UnreadableExport
from service.secret_names import REFERENCES, is_confidential

GRAPH_FIELDS = ("nodes", "edges", "viewport")

LISTS = {
    "ChatFlow": FlowType.CHATFLOW,
    "AgentFlow": FlowType.MULTIAGENT,
    "AgentFlowV2": FlowType.AGENTFLOW,
    "AssistantFlow": FlowType.ASSISTANT,
}
"""The lists of a workspace's export (contract 6.8) that hold flows."""

COLUMNS = (
    "deployed",
    "isPublic",
    "chatbotConfig",
    "apiConfig",
    "analytic",
    "speechToText",
    "textToSpeech",
    "followUpPrompts",
    "category",
)
"""Fields of a chatflow that come along: none that names a key or a token of where it was."""

LEFT_OUT = frozenset({"password", "file", "folder"})
"""Types of inputs that exports leave out, as they leave out credentials."""


def read(text: str, name: str) -> list[Exported]:
    """The flows in a file called `name`. Raises `UnreadableExport`, `BrokenGraph`."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableExport(f"{name}: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise UnreadableExport(f"{name}: holds no flow: it must be an object")
    if "nodes" in data:
        return [bare(data, name)]
    if "flowData" in data:
        return [entity(data, name, None)]
    found = [
        entity(item, name, kind)
        for key, kind in LISTS.items()
        for item in (data[key] if isinstance(data.get(key), list) else [])
    ]
    if not found:
        raise UnreadableExport(f"{name}: holds no flow: neither nodes and edges, nor flowData, nor lists of flows")
    return found


def bare(data: Mapping[str, Any], name: str) -> Exported:
    """A graph without name and type, as the editor exports it."""
    kept = {field: data[field] for field in GRAPH_FIELDS if field in data}
    flow_data = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return Exported(str(data.get("name") or name), flow_data, kind_of(flow_data))


def entity(data: Any, name: str, kind: FlowType | None) -> Exported:
    """A chatflow as the API gives it; `kind` where its place in the file says what it is."""
    flow_data = data.get("flowData") if isinstance(data, dict) else None
    if not isinstance(flow_data, str):
        raise UnreadableExport(f"{name}: flowData must be a text")
    given = str(data.get("type") or "")
    known = FlowType(given) if given in set(FlowType) else kind
    columns = {field: data[field] for field in COLUMNS if data.get(field) is not None}
    return Exported(str(data.get("name") or name), flow_data, known or kind_of(flow_data), columns)


def kind_of(flow_data: str) -> FlowType:
    """The type that a graph's nodes make it. Raises `BrokenGraph`."""
    nodes = graphs.parse(flow_data).nodes.values()
    if any(node.name == "startAgentflow" or node.category == "Agent Flows" for node in nodes):
        return FlowType.AGENTFLOW
    if any(node.category in ("Multi Agents", "Sequential Agents") for node in nodes):
        return FlowType.MULTIAGENT
    return FlowType.CHATFLOW


def exported(flow_data: str) -> str:
    """A graph as the editor exports it: nodes and edges, without credentials, secrets and files. Raises
    `BrokenGraph`."""
    graphs.parse(flow_data)
    data = json.loads(flow_data)
    nodes = [{**node, "data": _clean(node["data"])} for node in data["nodes"]]
    return json.dumps({"nodes": nodes, "edges": data["edges"]}, ensure_ascii=False, indent=2)


def _clean(node: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {name: value for name, value in node.items() if name not in REFERENCES and name != "credential"}
    inputs, params = node.get("inputs"), node.get("inputParams")
    listed = [item for item in params if isinstance(item, dict)] if isinstance(params, list) else []
    kinds = {str(item.get("name")): str(item.get("type")) for item in listed}
    if isinstance(inputs, dict):
        cleaned["inputs"] = {
            name: _without_secrets(value)
            for name, value in inputs.items()
            if kinds.get(name) not in LEFT_OUT and not _secret(name, value)
        }
    return cleaned


def _secret(name: str, value: Any) -> bool:
    return name in REFERENCES or is_confidential(name, value)


def _without_secrets(value: Any) -> Any:
    """What an agentflow's node holds of the nodes that it uses, without their credentials and secrets."""
    if isinstance(value, dict):
        return {key: _without_secrets(item) for key, item in value.items() if not _secret(key, item)}
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value
