"""Whether a flow can stream, rule by rule of the contract (1.7)."""

from typing import Any
from uuid import uuid4

import pytest

from service.chatflows.graph import parse
from service.chatflows.streaming import can_stream
from service.chatflows.types import FlowType
from tests.service.chatflows.flows import graph, node, openai, rag

CHAIN = node("c", "conversationalRetrievalQAChain", "Chains")


def streams(flow_data: str, kind: FlowType = FlowType.CHATFLOW, **config: Any) -> bool:
    """Whether it can."""
    return can_stream(parse(flow_data), kind, config)


@pytest.mark.parametrize(
    ("inputs", "can"),
    [
        ({}, True),
        ({"streaming": ""}, True),
        ({"streaming": "true"}, True),
        ({"streaming": False}, False),
        ({"streaming": "false"}, False),
    ],
)
def test_the_model_decides(inputs: dict[str, Any], can: bool) -> None:
    model = openai("")
    model["data"]["inputs"].pop("streaming")
    model["data"]["inputs"].update(inputs)
    assert streams(rag(uuid4(), model=model)) is can


def test_a_model_without_the_field_streams_if_it_is_an_old_one() -> None:
    assert not streams(graph([node("m", "chatNewcomer", "Chat Models"), CHAIN], []))
    assert streams(graph([node("m", "chatAnthropic", "Chat Models"), CHAIN], []))


@pytest.mark.parametrize(
    ("name", "category", "can"),
    [
        ("llmChain", "Chains", True),
        ("vectaraQAChain", "Chains", False),
        ("toolAgent", "Agents", True),
        ("reactAgentChat", "Agents", False),
        ("queryEngine", "Engine", True),
        ("otherEngine", "Engine", False),
        ("supervisor", "Multi Agents", True),
        ("seqEnd", "Sequential Agents", True),
        ("memory", "Memory", False),
    ],
)
def test_the_ending_decides(name: str, category: str, can: bool) -> None:
    assert streams(graph([node("n", name, category)], [])) is can


def test_output_parsers_and_post_processing_forbid_it() -> None:
    assert not streams(graph([node("p", "csvOutputParser", "Output Parsers"), CHAIN], []))
    assert not streams(graph([CHAIN], []), postProcessing={"enabled": True})
    assert streams(graph([], []), FlowType.AGENTFLOW)
    assert not streams(graph([], []), FlowType.AGENTFLOW, postProcessing={"enabled": True})
