"""Searches one of the product's document stores."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.steps.base import Links, RetrieverStep, Run, StepOptions
from service.chatflows.types import Passage

DEFAULT_TOP_K = 4
MAX_TOP_K = 200


class DocumentStoreOptions(StepOptions):
    """Fields of the node."""

    selected_store: UUID = Field(title="Select Store", description="Id of the document store.")
    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, title="Top K", description="Passages to find.")


class DocumentStoreVS(RetrieverStep):
    """Finds passages in a document store, by meaning and by words."""

    label = "Document Store (Vector)"
    category = "Vector Stores"
    base_classes = ("BaseRetriever", "VectorStoreRetriever")
    outputs = ("retriever", "vectorStore")
    Options = DocumentStoreOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `DocumentStoreOptions`."""
        super().__init__(node, options, links)
        self._options: DocumentStoreOptions = options

    async def retrieve(self, run: Run, question: str) -> Sequence[Passage]:
        """The best passages of the store."""
        chosen = self._options
        return await run.backing.search(run.workspace, chosen.selected_store, question, k=chosen.top_k)
