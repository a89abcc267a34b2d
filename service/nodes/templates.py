"""A few flows to begin with, as the editor would save them: our own, each runs once its model and document store are
chosen."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from service.nodes.catalogue import find_node
from service.nodes.overrides import fields_of
from service.nodes.wire import Template

NAMES = UUID("3c9f0f0e-52a4-5d0a-9d0e-6b7d1f3a2c11")
"""What the ids of templates are made from, with their names."""

Placed = tuple[str, Mapping[str, Any]]
"""A node's name and its inputs; a text `{{n}}` names the node at place n."""


@lru_cache(1)
def templates() -> tuple[Template, ...]:
    """All of them."""
    return (
        _template(
            "Ask a document store",
            "Answers questions from a document store, with sources and a memory.",
            ("Documents QnA",),
            [
                ("documentStoreVS", {}),
                ("chatOpenAI", {"modelName": "gpt-4o-mini", "streaming": True}),
                ("bufferMemory", {}),
                (
                    "conversationalRetrievalQAChain",
                    {"vectorStoreRetriever": 0, "model": 1, "memory": 2, "returnSourceDocuments": True},
                ),
            ],
        ),
        _template(
            "Conversation",
            "A conversation with a model that remembers what was said.",
            ("Basic",),
            [
                ("chatOpenAI", {"modelName": "gpt-4o-mini", "streaming": True}),
                ("bufferMemory", {}),
                ("conversationChain", {"model": 0, "memory": 1}),
            ],
        ),
        _template(
            "Agent with a document store",
            "An agent that looks into a document store when it needs to.",
            ("Agent", "Documents QnA"),
            [
                ("startAgentflow", {"startInputType": "chatInput"}),
                (
                    "agentAgentflow",
                    {
                        "agentModel": "chatOpenAI",
                        "agentModelConfig": {"modelName": "gpt-4o-mini", "agentModel": "chatOpenAI"},
                        "agentKnowledgeDocumentStores": [
                            {"documentStore": "", "docStoreDescription": "", "returnSourceDocuments": True}
                        ],
                        "agentEnableMemory": True,
                        "agentMemoryType": "allMessages",
                        "agentReturnResponseAs": "userMessage",
                    },
                ),
            ],
        ),
    )


def _template(name: str, description: str, usecases: Sequence[str], placed: Sequence[Placed]) -> Template:
    agentic = any(node.endswith("Agentflow") for node, _ in placed)
    nodes = [_node(node, place, inputs, placed) for place, (node, inputs) in enumerate(placed)]
    links = (
        [(place, place + 1, "") for place in range(len(placed) - 1)]
        if agentic
        else [
            (source, place, anchor)
            for place, (_, inputs) in enumerate(placed)
            for anchor, source in inputs.items()
            if _is_link(source)
        ]
    )
    graph = {"nodes": nodes, "edges": [_edge(nodes, *link) for link in links]}
    return Template(
        id=uuid5(NAMES, name),
        template_name=name,
        flow_data=json.dumps(graph, separators=(",", ":")),
        framework=["Ragstone"],
        usecases=list(usecases),
        categories=list(dict.fromkeys(node["data"]["category"] for node in nodes)),
        type="AgentflowV2" if agentic else "Chatflow",
        description=description,
    )


def _is_link(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _id(placed: Sequence[Placed], place: int) -> str:
    return f"{placed[place][0]}_{sum(name == placed[place][0] for name, _ in placed[:place])}"


def _node(name: str, place: int, inputs: Mapping[str, Any], placed: Sequence[Placed]) -> dict[str, Any]:
    """A node as the editor saves it, with its form."""
    known = find_node(name)
    assert known is not None, f"templates hold what there is: {name}"
    identifier = _id(placed, place)
    fields = fields_of(known)
    anchors = [item for item in known.model_dump(by_alias=True, exclude_none=True)["inputs"] if item not in fields]
    values = {item["name"]: item.get("default", "") for item in fields if item["name"] != "credential"}
    given = {
        key: f"{{{{{_id(placed, value)}.data.instance}}}}" if _is_link(value) else value
        for key, value in inputs.items()
    }
    outputs = [output.name for output in known.outputs or ()]
    kinds = "|".join(known.base_classes)
    data = {
        "id": identifier,
        "label": known.label,
        "version": known.version,
        "name": name,
        "type": known.type,
        "baseClasses": known.base_classes,
        "category": known.category,
        "description": known.description,
        "inputParams": [{**item, "id": f"{identifier}-input-{item['name']}-{item['type']}"} for item in fields],
        "inputAnchors": [{**item, "id": f"{identifier}-input-{item['name']}-{item['type']}"} for item in anchors],
        "inputs": {**values, **given},
        "outputAnchors": [
            {"id": f"{identifier}-output-{output}-{kinds}", "name": output, "label": output, "type": kinds}
            for output in (outputs[:1] or [name])
        ],
        "outputs": {"output": outputs[0]} if outputs else {},
    }
    agentic = name.endswith("Agentflow")
    at = {"x": 340 * place, "y": 120 if agentic or place % 2 else 0}
    return {"id": identifier, "type": "agentFlow" if agentic else "customNode", "position": at, "data": data}


def _edge(nodes: Sequence[Mapping[str, Any]], source: int, target: int, anchor: str) -> dict[str, Any]:
    begin, end = nodes[source], nodes[target]["data"]
    leaves = begin["data"]["outputAnchors"][0]["id"]
    enters = next((item["id"] for item in end["inputAnchors"] if item["name"] == anchor), end["id"])
    return {
        "source": begin["id"],
        "sourceHandle": leaves,
        "target": end["id"],
        "targetHandle": enters,
        "type": "buttonedge" if anchor else "agentFlow",
        "id": f"{begin['id']}-{leaves}-{end['id']}-{enters}",
    }
