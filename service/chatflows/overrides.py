"""What callers may change of a flow for one call: `overrideConfig`, gated by the flow's `apiConfig` (contract 1.8)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from service.chatflows.graph import Graph, Node

RESERVED = frozenset({"sessionId", "vars", "analytics"})
"""Keys that are no inputs of nodes."""

CREDENTIALS = frozenset({"credential", "FLOWISE_CREDENTIAL_ID"})
"""Parameters that take the id of a credential."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The inputs that callers may set, by the label of their node. Closed unless the flow's owner has opened it."""

    open: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, api_config: Mapping[str, Any]) -> "Gate":
        """The gate in a flow's `apiConfig`; what is no gate of the contract's shape opens nothing."""
        config = api_config.get("overrideConfig")
        if not isinstance(config, Mapping) or config.get("status") is not True:
            return cls()
        nodes = config.get("nodes")
        if not isinstance(nodes, Mapping):
            return cls()
        return cls({str(label): _enabled(items) for label, items in nodes.items()})

    def opens(self, node: Node, *names: str) -> bool:
        """Whether callers may set one of these inputs of a node."""
        return not self.open.get(node.label, frozenset()).isdisjoint(names)

    def applied(self, graph: Graph, node: Node, overrides: Mapping[str, Any]) -> Node:
        """The node with the overrides that are open for it; all others change nothing."""
        inputs = dict(node.inputs)
        credential = node.credential
        for name, given in overrides.items():
            if name in RESERVED or not self.opens(node, name):
                continue
            meant, value = _meant(node, given, graph.nodes.keys())
            if not meant:
                continue
            if name in CREDENTIALS:
                credential = str(value)
            else:
                inputs[name] = _merged(inputs.get(name), value)
        return replace(node, inputs=inputs, credential=credential)


def opened_variables(api_config: Mapping[str, Any]) -> frozenset[str]:
    """The variables that callers may change for one call, by the gate in a flow's `apiConfig`."""
    config = api_config.get("overrideConfig")
    if not isinstance(config, Mapping) or config.get("status") is not True:
        return frozenset()
    return _enabled(config.get("variables"))


def _enabled(items: Any) -> frozenset[str]:
    if not isinstance(items, list):
        return frozenset()
    named = (item for item in items if isinstance(item, Mapping) and item.get("enabled") is True)
    return frozenset(item["name"] for item in named if isinstance(item.get("name"), str))


def _meant(node: Node, given: Any, ids: Collection[str]) -> tuple[bool, Any]:
    """Whether a value is meant for the node, and which: `{nodeId: value}` names nodes, anything else means all."""
    if isinstance(given, Mapping) and given and not set(ids).isdisjoint(given):
        return node.id in given, given.get(node.id)
    return True, given


def _merged(before: Any, value: Any) -> Any:
    """Arrays are joined without repeats, objects laid over each other, everything else replaced."""
    if isinstance(before, list) and isinstance(value, list):
        return [*before, *(item for item in value if item not in before)]
    if isinstance(before, Mapping) and isinstance(value, Mapping):
        return {**before, **value}
    return value
