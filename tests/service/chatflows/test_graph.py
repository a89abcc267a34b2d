"""What is read out of a flow's data, and what is refused."""

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.chatflows.graph import Link, parse, problems
from service.chatflows.types import BrokenGraph
from tests.service.chatflows.flows import edge, graph, node


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "nonsense",
        "[]",
        "null",
        "{}",
        '{"nodes":[]}',
        '{"nodes":[],"edges":{}}',
        '{"nodes":[1],"edges":[]}',
        '{"nodes":[{"id":"a","data":{}}],"edges":[]}',
        '{"nodes":[],"edges":[{"source":1}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_graph_is_refused_with_the_reason(broken: str) -> None:
    with pytest.raises(BrokenGraph, match="flowData"):
        parse(broken)


def test_two_nodes_of_one_id_are_refused() -> None:
    with pytest.raises(BrokenGraph, match="'a' is taken"):
        parse(graph([node("a", "x", "Chains"), node("a", "y", "Chains")], []))


@pytest.mark.parametrize("name", ["FLOWISE_CREDENTIAL_ID", "credential"])
def test_a_credential_may_stand_among_the_inputs(name: str) -> None:
    inside = node("m", "chatOpenAI", "Chat Models", {name: "one"})
    assert parse(graph([inside], [])).nodes["m"].credential == "one"
    assert (
        parse(graph([{**inside, "data": {**inside["data"], "credential": "two"}}], [])).nodes["m"].credential == "two"
    )


def test_edges_are_believed_before_templates() -> None:
    nodes = [node("a", "x", "X"), node("b", "x", "X"), node("c", "y", "Y", {"model": "{{a.data.instance}}"})]
    assert parse(graph(nodes, [edge("b", "c", "model")])).links == (Link("b", "b", "c", "model"),)
    assert parse(graph(nodes, [])).links == (Link("a", "", "c", "model"),)


def test_lists_of_templates_are_links_and_other_texts_are_not() -> None:
    inputs = {"tools": ["{{a.data.instance}}", "{{b.data.instance}}"], "prompt": "say {{a.data.instance}}", "n": 3}
    found = parse(graph([node("a", "x", "X"), node("b", "x", "X"), node("c", "y", "Y", inputs)], []))
    assert found.links == (Link("a", "", "c", "tools"), Link("b", "", "c", "tools"))


def test_ids_are_opaque() -> None:
    strange = "chatOpenAI-input-model-9"
    nodes = [node("a-output-b", "x", "X"), node(strange, "y", "Y")]
    (link,) = parse(graph(nodes, [edge("a-output-b", strange, "memory", "Base|Memory")])).links
    assert (link.source, link.target, link.input) == ("a-output-b", strange, "memory")


@pytest.mark.parametrize("missing", ["", None])
def test_an_edge_without_handles_has_them_in_its_id(missing: str | None) -> None:
    nodes = [node("a-b", "conditionAgentflow", "Agent Flows"), node("c", "y", "Y")]
    drawn = edge("a-b", "c", "memory") | {"sourceHandle": "a-b-output-1-Any"}
    bare = {**drawn, "sourceHandle": missing, "targetHandle": missing}
    for identifier, link in (
        (f"a-b-{drawn['sourceHandle']}-c-{drawn['targetHandle']}", Link("a-b", "1", "c", "memory")),
        ("reactflow__edge-7", Link("a-b", "", "c", "")),
    ):
        assert parse(graph(nodes, [{**bare, "id": identifier}])).links == (link,)


def test_sticky_notes_are_left_out_with_their_links() -> None:
    nodes = [node("a", "x", "Chains"), node("n", "stickyNote", "Utilities")]
    found = parse(graph(nodes, [edge("n", "a", "memory"), edge("a", "n", "note")]))
    assert list(found.nodes) == ["a"]
    assert found.links == ()


def test_a_link_to_a_missing_node_is_named() -> None:
    found = problems(parse(graph([node("c", "y", "Y")], [edge("gone", "c", "model")])))
    assert len(found) == 1
    assert re.search(r"y \(c\): a link comes from 'gone'", found[0].text)


def test_a_cycle_is_named_in_order() -> None:
    nodes = [node(name, name, "X") for name in "abcd"]
    edges = [edge("a", "b", "p"), edge("b", "c", "p"), edge("c", "b", "q"), edge("c", "d", "p")]
    (found,) = problems(parse(graph(nodes, edges)))
    assert "b (b) -> c (c) -> b (b)" in found.text


@given(st.integers(2, 12), st.data())
def test_a_graph_without_backward_links_has_no_cycle_and_is_ordered(count: int, data: st.DataObject) -> None:
    pairs = [(low, high) for low in range(count) for high in range(low + 1, count)]
    chosen = data.draw(st.lists(st.sampled_from(pairs), unique=True))
    nodes = [node(f"n{number}", "x", "X") for number in range(count)]
    found = parse(graph(nodes, [edge(f"n{low}", f"n{high}", f"p{low}") for low, high in chosen]))
    assert problems(found) == []
    order = [item.id for item in found.needed_by(f"n{count - 1}")]
    for low, high in chosen:
        if f"n{high}" in order:
            assert order.index(f"n{low}") < order.index(f"n{high}")


NAMES = st.sampled_from(["nodes", "edges", "data", "id", "name", "inputs", "source", "target"])
LEAVES = st.none() | st.booleans() | st.text(max_size=5) | st.integers()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4)))
def test_any_json_is_a_graph_or_refused(value: object) -> None:
    with suppress(BrokenGraph):
        problems(parse(json.dumps(value)))
