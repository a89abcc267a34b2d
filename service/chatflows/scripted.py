"""Which nodes hold JavaScript: flows with such nodes are not kept where the operator has not switched it on."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.chatflows.graph import Graph, Node
from service.chatflows.steps.openapi_document import is_own_call
from service.errors import Unprocessable
from service.javascript.types import OFF
from service.json_text import parsed

FUNCTIONS = frozenset({"customFunction", "customFunctionAgentflow", "customTool"})
"""Nodes, and tools of agentflow nodes, that are nothing but a function."""

_TOOLS = ("agentSelectedTool", "toolAgentflowSelectedTool", "selectedTool")


class ScriptsOff(Unprocessable):
    """A node holds JavaScript, which is not run here."""

    code = "javascript_off"
    private = True


def scripted(graph: Graph) -> list[Node]:
    """The nodes that hold JavaScript, themselves or in one of their tools."""
    return [node for node in graph.nodes.values() if _is_scripted(node)]


def refuse_scripts(graph: Graph) -> None:
    """Raises `ScriptsOff` naming every node that holds JavaScript."""
    if found := scripted(graph):
        titles = ", ".join(node.title for node in found)
        raise ScriptsOff(f"flowData: {titles}: {OFF}. Nothing was stored.")


def _is_scripted(node: Node) -> bool:
    return any(name in FUNCTIONS or (name == "openAPIToolkit" and _own_code(inputs)) for name, inputs in _parts(node))


def _parts(node: Node) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The node, and the tools that it holds as configurations of its own."""
    yield node.name, node.inputs
    tools = _listed(node.inputs.get("agentTools"))
    for item in [node.inputs, *(tools if isinstance(tools, list) else ())]:
        if not isinstance(item, Mapping):
            continue
        for key in _TOOLS:
            config = item.get(f"{key}Config")
            if item.get(key):
                yield str(item[key]), config if isinstance(config, Mapping) else {}


def _listed(value: Any) -> Any:
    """The list in a field, which may be the JSON text of one, as nodes read it."""
    try:
        return parsed(value) if isinstance(value, str) and value.strip() else value
    except ValueError:
        return value


def _own_code(inputs: Mapping[str, Any]) -> bool:
    code = inputs.get("customCode")
    return isinstance(code, str) and bool(code.strip()) and not is_own_call(code)
