"""Settings of a flow: changed in its graph, which a copy of the flow has, or the flow itself once one is chosen.

A copy has an id of its own, and so would have vector-store nodes of its own, which hold nothing. In a copy such a node
therefore becomes one that reads the document store in which the original keeps its vectors.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.cli.exits import UsageProblem
from service.cli.suites.preparing import reading_from
from service.cli.sweeps.trials import STAGES, Trial, pipeline

READER = "documentStoreVS"
"""The node that searches a document store by the settings of its own inputs."""

PROMPTS = {
    "conversationalRetrievalQAChain": "responsePrompt",
    "conversationChain": "systemMessagePrompt",
    "promptTemplate": "template",
    "chatPromptTemplate": "systemMessagePrompt",
    "toolAgent": "systemMessage",
    "conversationalAgent": "systemMessage",
    "conversationalRetrievalToolAgent": "systemMessage",
}
"""What `prompt` sets, by the names of nodes."""

FILTERS = ("pgMetadataFilter", "chromaMetadataFilter", "pineconeMetadataFilter")
LOST = {"qdrantFilter": "", "searchType": "similarity", "fileUpload": False}
"""Inputs of vector-store nodes that a node which reads a document store does not have, and what means nothing."""

TRIGGERS = ("scheduleInput", "webhookTrigger")
"""Beginnings of agentflows by which copies would run of themselves."""


def copied(flow: Mapping[str, Any]) -> str:
    """The graph of a flow for a copy of it: finds what the original finds. Raises `UsageProblem` for one that cannot be
    copied so."""
    data = json.loads(flow["flowData"])
    for node in data["nodes"]:
        inputs = _inputs(node)
        if inputs.get("startInputType") in TRIGGERS:
            raise UsageProblem(
                f"target.flow: {flow['name']!r} begins by {inputs['startInputType']}: copies of it would run too"
            )
    owning = [node for node in data["nodes"] if _owns(node)]
    for node in owning:
        _read_from(node, _owned(flow["id"], node["id"]))
    fed = {node["id"] for node in owning}
    data["edges"] = [edge for edge in data["edges"] if edge.get("target") not in fed]
    return json.dumps(data)


def document_store(flow: Mapping[str, Any]) -> str:
    """The id of the one document store that a flow reads. Raises `UsageProblem` when there are none or several."""
    found: dict[str, None] = {}

    def look(value: Any, key: str = "") -> None:
        if isinstance(value, Mapping):
            for name, item in value.items():
                look(item, name)
        elif isinstance(value, list):
            for item in value:
                look(item)
        elif isinstance(value, str) and value and key in ("selectedStore", "documentStore"):
            found[value.partition(":")[0]] = None

    for node in json.loads(copied(flow))["nodes"]:
        look(_inputs(node))
    if len(found) != 1:
        raise UsageProblem(
            f"settings: {flow['name']!r} reads {len(found) or 'no'} document stores; splitter, chunk_size,"
            " chunk_overlap and embedding are tried on a flow that reads one"
        )
    return next(iter(found))


def changed(flow: Mapping[str, Any], flow_data: str, trial: Trial, store_id: str | None = None) -> str:
    """The graph with the settings of a trial; `store_id`: a document store in place of the one that it reads. Raises
    `UsageProblem` for settings that the flow does not have."""
    if store_id is not None:
        flow_data = reading_from(flow_data, store_id, "copy")
    data = json.loads(flow_data)
    query = trial.query
    if query:
        readers = [node for node in data["nodes"] if node["data"].get("name") == READER]
        if not readers:
            raise UsageProblem(
                f"settings: {', '.join(query)} are those of a node {READER}, and {flow['name']!r} has none; name an"
                " input of its retriever under settings.inputs"
            )
        for node in readers:
            node["data"]["inputs"] = {**_inputs(node), **_query(query)}
    for name, value in trial.flow.items():
        node, field = _prompted(flow, data) if name == "prompt" else _named(flow, data, name)
        node["data"]["inputs"] = {**_inputs(node), field: value}
    return json.dumps(data)


def applied(flow: Mapping[str, Any], trial: Trial) -> str:
    """The graph of the flow itself with the settings of a trial. Raises as `changed`, and for settings that its own
    vector-store nodes do not have."""
    data = json.loads(flow["flowData"])
    owning = [node for node in data["nodes"] if _owns(node)]
    if owning and any(name in trial.query for name in (*STAGES, "retrieval")):
        node = owning[0]["data"].get("label") or owning[0]["id"]
        raise UsageProblem(
            f"{flow['name']!r} finds passages by its node {node}, which has none of these settings; a node {READER} in"
            " its place has them"
        )
    if not owning:
        return changed(flow, flow["flowData"], trial)
    for node in owning:
        if "k" in trial.query:
            node["data"]["inputs"] = {**_inputs(node), "topK": trial.query["k"]}
    rest = Trial(trial.number, trial.flow)
    return changed(flow, json.dumps(data), rest)


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    stages = pipeline(query)
    found: dict[str, Any] = {"topK": query["k"]} if "k" in query else {}
    return found if stages is None else {**found, "retrieval": stages}


def _inputs(node: Mapping[str, Any]) -> dict[str, Any]:
    found = node["data"].get("inputs")
    return found if isinstance(found, dict) else {}


def _owns(node: Mapping[str, Any]) -> bool:
    """Whether a node keeps vectors of its own."""
    return bool(node["data"].get("category") == "Vector Stores" and node["data"].get("name") != READER)


def _owned(flow_id: str, node_id: str) -> str:
    from service.document_stores.types import Owner

    return str(Owner(UUID(flow_id), node_id, "").store_id)


def _read_from(node: Mapping[str, Any], store_id: str) -> None:
    data, inputs = node["data"], _inputs(node)
    for name, nothing in LOST.items():
        if inputs.get(name) not in (None, "", nothing):
            raise UsageProblem(
                f"target.flow: the node {data.get('label') or node['id']} has {name}, by which its copy would not find"
                f" the same; use a node {READER}"
            )
    given = next((inputs[name] for name in FILTERS if inputs.get(name)), None)
    kept = {"selectedStore": store_id, "topK": inputs.get("topK"), "filter": given}
    data["inputs"] = {name: value for name, value in kept.items() if value not in (None, "")}
    data["name"] = READER


def _prompted(flow: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[Any, str]:
    found = [(node, PROMPTS[name]) for node in data["nodes"] if (name := node["data"].get("name")) in PROMPTS]
    if len(found) != 1:
        several = ", ".join(f"{node['id']}.{field}" for node, field in found)
        told = f"has several ({several})" if found else "has none that is known"
        raise UsageProblem(f"settings.prompt: {flow['name']!r} {told}; name it as NODE.INPUT under settings.inputs")
    return found[0]


def _named(flow: Mapping[str, Any], data: Mapping[str, Any], name: str) -> tuple[Any, str]:
    wanted, _, field = name.rpartition(".")
    found = [node for node in data["nodes"] if wanted in (node["id"], node["data"].get("label"))]
    if len(found) != 1:
        known = ", ".join(node["id"] for node in data["nodes"])
        told = "no node" if not found else f"{len(found)} nodes"
        raise UsageProblem(f"settings.inputs: {flow['name']!r} has {told} {wanted!r}; its nodes are {known}")
    return found[0], field
