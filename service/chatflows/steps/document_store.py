"""Searches one of the product's document stores."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.steps.base import Links, RetrieverStep, Run, StepOptions, Wanted
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

    @property
    def k(self) -> int:
        """The node's own number."""
        return self._options.top_k

    async def find(self, run: Run, wanted: Wanted) -> Sequence[Passage]:
        """The best passages of the store."""
        return await run.backing.search(
            run.workspace,
            self._options.selected_store,
            wanted.question,
            k=wanted.k or self.k,
            where=wanted.where,
            more=wanted.stages,
        )
