"""What callers may change of a flow: nothing, but what its owner opened by label and name."""

from typing import Any

import pytest

from service.chatflows.graph import Graph, Node, parse
from service.chatflows.overrides import Gate
from tests.service.chatflows.flows import graph, node

GRAPH = parse(
    graph(
        [
            node(
                "a_0", "alpha", "X", {"size": 5, "tags": ["x"], "options": {"deep": 1}}, label="Alpha", credential="c"
            ),
            node("b_0", "alpha", "X", {"size": 6}, label="Beta"),
        ],
        [],
    )
)


def gate(**nodes: Any) -> Gate:
    """A gate that is on."""
    listed = {label: [{"name": name, "enabled": True} for name in names] for label, names in nodes.items()}
    return Gate.read({"overrideConfig": {"status": True, "nodes": listed}})


def applied(opened: Gate, overrides: dict[str, Any], name: str = "a_0", flow: Graph = GRAPH) -> Node:
    """A node under overrides."""
    return opened.applied(flow, flow.nodes[name], overrides)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"overrideConfig": None},
        {"overrideConfig": {"status": False, "nodes": {"Alpha": [{"name": "size", "enabled": True}]}}},
        {"overrideConfig": {"status": "true", "nodes": {"Alpha": [{"name": "size", "enabled": True}]}}},
        {"overrideConfig": {"status": True, "nodes": {"Alpha": [{"name": "size", "enabled": False}]}}},
        {"overrideConfig": {"status": True, "nodes": {"Alpha": [{"name": "size", "enabled": "yes"}, 7]}}},
        {"overrideConfig": {"status": True, "nodes": {"Alpha": "size"}}},
        {"overrideConfig": {"status": True, "nodes": []}},
        {"overrideConfig": [1]},
    ],
)
def test_everything_else_keeps_it_closed(config: dict[str, Any]) -> None:
    assert applied(Gate.read(config), {"size": 9}) == GRAPH.nodes["a_0"]


def test_a_plain_value_reaches_every_node_that_opens_the_field() -> None:
    opened = gate(Alpha=["size"], Beta=["size"])
    assert applied(opened, {"size": 9}).inputs["size"] == 9
    assert applied(opened, {"size": 9}, "b_0").inputs["size"] == 9
    assert applied(gate(Beta=["size"]), {"size": 9}).inputs["size"] == 5


def test_a_value_can_be_meant_for_one_node() -> None:
    opened = gate(Alpha=["size", "options"], Beta=["size"])
    assert applied(opened, {"size": {"a_0": 9}}).inputs["size"] == 9
    assert applied(opened, {"size": {"a_0": 9}}, "b_0").inputs["size"] == 6
    assert applied(opened, {"options": {"other": 2}}).inputs["options"] == {"deep": 1, "other": 2}


def test_arrays_are_joined_without_repeats() -> None:
    assert applied(gate(Alpha=["tags"]), {"tags": ["x", "y"]}).inputs["tags"] == ["x", "y"]


def test_a_credential_is_a_field_like_others() -> None:
    assert applied(gate(Alpha=["size"]), {"credential": "mine"}).credential == "c"
    changed = applied(gate(Alpha=["credential"]), {"credential": "mine"})
    assert (changed.credential, changed.inputs) == ("mine", GRAPH.nodes["a_0"].inputs)


def test_reserved_keys_are_no_inputs() -> None:
    opened = gate(Alpha=["sessionId", "vars", "analytics"])
    overrides = {"sessionId": "s", "vars": {"a": 1}, "analytics": {}}
    assert applied(opened, overrides) == GRAPH.nodes["a_0"]
