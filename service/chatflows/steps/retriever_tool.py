"""Gives an agent a retriever as a tool."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Anchor, Links, RetrieverStep, StepOptions, Wanted
from service.chatflows.steps.document_store import MetadataFilter
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep, tool_name

NOTHING = "Nothing was found."

MOST = 2_000
"""Characters of a query."""

INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "What to look for, as a question or in keywords."}},
    "required": ["input"],
}


class RetrieverToolOptions(StepOptions):
    """Fields of the node."""

    name: str = Field("search_documents", title="Retriever Name")
    description: str = Field("Finds passages of documents.", title="Retriever Description")
    return_source_documents: bool = Field(False, title="Return Source Documents")
    retriever_tool_metadata_filter: MetadataFilter = Field(None, title="Additional Metadata Filter")


class RetrieverTool(ToolStep):
    """Finds passages for an agent."""

    label = "Retriever Tool"
    version = 3
    base_classes = ("RetrieverTool", "DynamicTool", "Tool", "StructuredTool", "Runnable")
    anchors = (Anchor("retriever", RetrieverStep, "Retriever"),)
    Options = RetrieverToolOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `RetrieverToolOptions`."""
        super().__init__(node, options, links)
        (retriever,) = links["retriever"]
        assert isinstance(retriever, RetrieverStep)
        self._options: RetrieverToolOptions = options
        name = tool_name(options.name, "search_documents")
        self._tool = searching(
            name,
            options.description,
            retriever,
            where=options.retriever_tool_metadata_filter or None,
            shows=options.return_source_documents,
        )

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        return (self._tool,)


def searching(
    name: str, description: str, retriever: RetrieverStep, *, where: Mapping[str, Any] | None = None, shows: bool
) -> Tool:
    """The tool that asks a retriever. `shows`: what it finds is among the answer's sources."""

    async def call(run: Run, given: Mapping[str, Any]) -> Outcome:
        query = str(given["input"]).strip()[:MOST]
        if not query:
            raise ToolFailed("The input is empty.")
        found = tuple(await retriever.find(run, Wanted(query, where=where)))
        if not found:
            return Outcome(NOTHING)
        text = "\n\n".join(passage.text for passage in found)
        return Outcome(text, found, quotes=True) if shows else Outcome(text)

    return Tool(name, description, INPUT, call)
