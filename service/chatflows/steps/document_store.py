"""Searches one of the product's document stores."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps.base import Links, RetrieverStep, StepOptions, Wanted
from service.chatflows.types import FlowNotRunnable, Passage, Problem, ProblemKind
from service.errors import NotFound, Unprocessable
from service.json_text import parsed
from service.retrieval.pipeline import pipeline
from stores.vector.filters import parse

DEFAULT_TOP_K = 4
MAX_TOP_K = 200


def _filter(value: Any) -> Any:
    found = parsed(value) if isinstance(value, str) else value
    if isinstance(found, dict) and found:
        parse(found)
    return found


def _stages(value: Any) -> Any:
    found = parsed(value) if isinstance(value, str) else value
    try:
        pipeline(found)
    except Unprocessable as error:
        raise ValueError(error.message) from None
    return found


MetadataFilter = Annotated[dict[str, Any] | None, BeforeValidator(_filter)]
"""A metadata filter (stores/vector/filters.py), as an object or its JSON text."""

Stages = Annotated[list[dict[str, Any]] | None, BeforeValidator(_stages)]
"""The stages of a search (service/retrieval), as a list or its JSON text."""


class DocumentStoreOptions(StepOptions):
    """Fields of the node."""

    selected_store: UUID = Field(title="Select Store", description="Id of the document store.")
    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, title="Top K", description="Passages to find.")
    filter: MetadataFilter = Field(None, title="Metadata Filter", description="Passages must pass it.")
    retrieval: Stages = Field(None, title="Retrieval", description="Stages in place of the document store's own.")


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
        self._retrieval = None if options.retrieval is None else pipeline(options.retrieval)
        self.searched = None if self._retrieval and self._retrieval.before else options.selected_store

    @property
    def document_stores(self) -> frozenset[UUID]:
        """The one that is chosen."""
        return frozenset({self._options.selected_store})

    @property
    def k(self) -> int:
        """The node's own number."""
        return self._options.top_k

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Look the document store up. Raises `FlowNotRunnable` where it is not there."""
        if backing.document_store is None:
            return
        store = self._options.selected_store
        try:
            await backing.document_store(workspace, store)
        except NotFound:
            text = f"{self.title}: there is no document store {store} here; choose one of this workspace"
            raise FlowNotRunnable(text, [Problem(self.node.id, text, ProblemKind.SETTING)]) from None

    async def find(self, run: Run, wanted: Wanted) -> Sequence[Passage]:
        """The best passages of the store."""
        return await run.backing.search(
            run.workspace,
            self._options.selected_store,
            wanted.question,
            k=wanted.k or self.k,
            where=both(self._options.filter, wanted.where),
            retrieval=self._retrieval,
            more=wanted.stages,
        )


def both(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The filter that passes what both of them pass."""
    parts = [each for each in (one, other) if each]
    return {"$and": parts} if len(parts) > 1 else next(iter(parts), None)
