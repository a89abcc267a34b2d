"""The smallest chatflow that answers from a document store, as `ask --store` and the sample use it."""

import json
from collections.abc import Mapping
from typing import Any

from service.cli.client import Client

CHAIN = "conversationalRetrievalQAChain_0"
STORE = "documentStoreVS_0"
MEMORY = "bufferMemory_0"


def answer_flow(store_id: str) -> str:
    """flowData: the document store feeds a chain with memory. It names no model, so RAGSTONE_CHAT_MODEL decides."""
    nodes = [
        _node(STORE, "Document Store (Vector)", "Vector Stores", {"selectedStore": store_id}, 0, output="retriever"),
        _node(MEMORY, "Buffer Memory", "Memory", {"memoryKey": "chat_history"}, 300),
        _node(
            CHAIN,
            "Conversational Retrieval QA Chain",
            "Chains",
            {
                "vectorStoreRetriever": _instance(STORE),
                "memory": _instance(MEMORY),
                "returnSourceDocuments": True,
            },
            150,
        ),
    ]
    edges = [
        _edge(STORE, "retriever-BaseRetriever", "vectorStoreRetriever-BaseRetriever"),
        _edge(MEMORY, "bufferMemory-BaseMemory", "memory-BaseMemory"),
    ]
    return json.dumps({"nodes": nodes, "edges": edges, "viewport": {"x": 0, "y": 0, "zoom": 1}})


def ensure_flow(client: Client, name: str, store_id: str) -> Mapping[str, Any]:
    """The chatflow of this name over this document store; made when there is none."""
    flows: list[Mapping[str, Any]] = client.get("/chatflows")
    for flow in flows:
        if flow["name"] == name and store_id in flow["flowData"]:
            return flow
    made: Mapping[str, Any] = client.post(
        "/chatflows", {"name": name, "type": "CHATFLOW", "flowData": answer_flow(store_id)}
    )
    return made


def _instance(node: str) -> str:
    return f"{{{{{node}.data.instance}}}}"


def _node(
    node: str, label: str, category: str, inputs: Mapping[str, Any], top: int, *, output: str = ""
) -> dict[str, Any]:
    name = node.rpartition("_")[0]
    data = {
        "id": node,
        "label": label,
        "name": name,
        "type": name,
        "category": category,
        "inputs": dict(inputs),
        "outputs": {"output": output} if output else {},
    }
    left = 500 if node == CHAIN else 0
    return {"id": node, "type": "customNode", "position": {"x": left, "y": top}, "data": data}


def _edge(source: str, out: str, into: str) -> dict[str, Any]:
    start, end = f"{source}-output-{out}", f"{CHAIN}-input-{into}"
    return {
        "source": source,
        "sourceHandle": start,
        "target": CHAIN,
        "targetHandle": end,
        "type": "buttonedge",
        "id": f"{source}-{start}-{CHAIN}-{end}",
    }
