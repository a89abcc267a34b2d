"""What callers are shown of a run: everything to those who hold a key of the workspace, to all others what a chat needs
(ADR 0041). The shapes are the contract's (1.2, 1.3)."""

from collections.abc import Mapping
from typing import Any

from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    Executed,
    FlowStatus,
    NodesExecuted,
    NodeStatus,
    Passage,
    Sources,
    ToolCalls,
    ToolsUsed,
    ToolUse,
)
from service.predictions.events import Event

PUBLIC_DATA = ("id", "name", "error", "parentNodeId", "iterationIndex")
"""What everybody is shown of what a node of an agentflow did: what the widget draws its tree from."""
PUBLIC_OUTPUT = ("content", "sourceDocuments", "artifacts", "fileAnnotations")
"""What everybody is shown of a node's output."""
FAILED = "This step failed."
"""What everybody is told of the failure of a node or a tool; the run's own failure says what kind it was."""
PUBLIC_INPUT = ("humanInputEnableFeedback",)
"""What everybody is shown of the input of a node that waits: whether the widget asks for words too."""


def source_document(passage: Passage) -> dict[str, Any]:
    """A source as clients read it (contract 1.2), with the chunk's id and score in its metadata. The chunk's place in
    its document stands there too where it is known: `docId`, `page`, `heading`, `start` and `end` (characters); and
    `quotes`, the places of quoted sentences in `pageContent`."""
    metadata = {**passage.metadata, "score": round(passage.score, 6), "chunkId": passage.id}
    return {"pageContent": passage.text, "metadata": metadata}


def used_tool(use: ToolUse, *, full: bool = True) -> dict[str, Any]:
    """A use of a tool as clients read it (contract 1.2)."""
    shown: dict[str, Any] = {"tool": use.tool, "toolInput": use.input if full else {}, "toolOutput": use.output}
    if use.sources:
        shown["sourceDocuments"] = [source_document(item) for item in use.sources]
    return shown if use.error is None else {**shown, "error": use.error if full else FAILED}


def shown(event: Event, *, full: bool) -> tuple[str, Any]:
    """The name and the data of an event that stands under the same name in streams and in whole answers; an empty name
    for others."""
    match event:
        case Sources():
            return "sourceDocuments", [source_document(passage) for passage in event.passages]
        case ToolCalls():
            return "calledTools", [{"tool": name, "toolInput": given if full else {}} for name, given in event.calls]
        case ToolsUsed():
            return "usedTools", [used_tool(use, full=full) for use in event.uses]
        case Artifacts():
            return "artifacts", list(event.items)
        case FlowStatus():
            return "agentFlowEvent", event.status.value
        case NodeStatus():
            about = {"nodeId": event.node, "nodeLabel": event.label, "status": event.status.value}
            return "nextAgentFlow", about if event.error is None else {
                **about,
                "error": event.error if full else FAILED,
            }
        case NodesExecuted():
            return "agentFlowExecutedData", [executed(node, full=full) for node in event.nodes]
        case ActionWanted():
            return "action", action(event.action, full=full)
    return "", None


def action(wanted: Mapping[str, Any], *, full: bool) -> Mapping[str, Any]:
    """What a person is asked; to all others without the prompt of the node that asks."""
    data = wanted.get("data")
    if full or not isinstance(data, Mapping) or not isinstance(data.get("input"), Mapping):
        return wanted
    told = {name: data["input"][name] for name in PUBLIC_INPUT if name in data["input"]}
    return {**wanted, "data": {**data, "input": told}}


def executed(node: Executed, *, full: bool) -> dict[str, Any]:
    """What a node of an agentflow did."""
    return {
        "nodeId": node.node,
        "nodeLabel": node.label,
        "data": node.data if full else _public(node.data),
        "previousNodeIds": list(node.previous),
        "status": node.status.value,
    }


def _public(data: Mapping[str, Any]) -> dict[str, Any]:
    """Names and output, without what went in: prompts, models, credentials, state."""
    shown = {name: FAILED if name == "error" else data[name] for name in PUBLIC_DATA if name in data}
    output = data.get("output")
    if isinstance(output, Mapping):
        told = {name: output[name] for name in PUBLIC_OUTPUT if name in output}
        if isinstance(used := output.get("usedTools"), list):
            told["usedTools"] = [_public_use(use) for use in used if isinstance(use, Mapping)]
        shown["output"] = told
    return shown


def _public_use(use: Mapping[str, Any]) -> dict[str, Any]:
    """A use of a tool, as `used_tool` has it, without what went in and why it failed."""
    return {**use, "toolInput": {}, **({"error": FAILED} if "error" in use else {})}
