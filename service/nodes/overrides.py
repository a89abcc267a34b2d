"""What callers could change of a flow for one call: the fields of its nodes, as `apiConfig.overrideConfig` names them
(contract 1.8, 6.7)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.nodes.catalogue import find_node
from service.nodes.wire import NodeDefinition, Override

FILES = "files"
"""The name that Flowise's editor gives every field of files; the gate takes it as well as the real one."""


def overrides(nodes: Iterable[Mapping[str, Any]]) -> list[Override]:
    """The fields of these nodes (`data` of a graph), each once. A node that carries no form is read by ours."""
    found: dict[tuple[str, str], Override] = {}
    for node in nodes:
        for item in _of(node):
            found.setdefault((item.node_id, item.name), item)
    return list(found.values())


def fields_of(definition: NodeDefinition) -> list[dict[str, Any]]:
    """The fields of a node without the places that others are linked to: those are named after classes."""
    dumped = definition.model_dump(by_alias=True, exclude_none=True)
    credential = [dumped["credential"]] if "credential" in dumped else []
    return [*credential, *(item for item in dumped["inputs"] if not item["type"][:1].isupper())]


def _of(node: Mapping[str, Any]) -> Iterator[Override]:
    identifier, label = str(node.get("id") or ""), str(node.get("label") or node.get("name") or "")
    for field in _fields(node):
        name = str(field["name"])
        about = {"node": label, "nodeId": identifier, "label": str(field.get("label") or name)}
        kind = str(field.get("type") or "string")
        if kind == "file":
            shown = str(field.get("fileType") or kind)
            yield Override.model_validate({**about, "name": name, "type": shown})
            yield Override.model_validate({**about, "name": FILES, "type": shown})
        elif kind == "array":
            schema = {str(item.get("name")): str(item.get("type")) for item in _objects(field.get("array"))}
            yield Override.model_validate({**about, "name": name, "type": kind, "schema": schema})
        else:
            yield Override.model_validate({**about, "name": name, "type": _shown(kind, field)})


def _shown(kind: str, field: Mapping[str, Any]) -> str:
    """What a value must be: the choices of a list, else its type."""
    if kind == "options":
        return ", ".join(str(item.get("name")) for item in _objects(field.get("options"))) or "string"
    return "string" if kind in ("password", "credential") else kind


def _fields(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = [item for item in _objects(node.get("inputParams")) if item.get("name")]
    if listed:
        return listed
    known = find_node(str(node.get("name") or ""))
    return [] if known is None else [*fields_of(known)]


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
