"""Vector-store nodes of a flow: each is a document store that the flow owns, filled by `/vector/upsert`.

Whatever product the node names, chunks and vectors are kept by this service. The node's fields say how many passages
are found and which; where its server is has no meaning here, and the answer of an upsert says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.steps.base import Links, RetrieverStep, Run, StepOptions, Wanted
from service.chatflows.steps.document_store import DEFAULT_TOP_K, MAX_TOP_K
from service.chatflows.types import Passage
from service.document_stores.types import Owner
from service.errors import NotFound
from service.json_text import parsed
from stores.vector.filters import parse

CHAT = "flowise_chatId"
"""Metadata field of what a conversation brought along: only that conversation finds it."""


class VectorStoreOptions(StepOptions):
    """Fields that every vector-store node has."""

    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, title="Top K", description="Passages to find.")


class FilteredOptions(VectorStoreOptions):
    """Fields of a node with a filter and with files of conversations."""

    file_upload: bool = Field(
        False, title="File Upload", description="Conversations may bring files, which only they find."
    )
    pg_metadata_filter: dict[str, Any] | None = Field(
        None, title="Metadata Filter", description="Passages must pass it."
    )

    @field_validator("pg_metadata_filter", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        found = parsed(value) if isinstance(value, str) else value
        if isinstance(found, dict) and found:
            parse(found)
        return found


class VectorStore(RetrieverStep):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    category = "Vector Stores"
    base_classes = ("BaseRetriever", "VectorStoreRetriever")
    outputs = ("retriever", "vectorStore")
    upserts = frozenset({"document", "embeddings", "recordManager"})
    unused: ClassVar[tuple[str, ...]] = ()
    """Fields without a meaning here: where and how another product would keep the vectors."""
    Options: ClassVar[type[StepOptions]] = VectorStoreOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `VectorStoreOptions`."""
        super().__init__(node, options, links)
        self._options: VectorStoreOptions = options

    @property
    def k(self) -> int:
        """The node's own number."""
        return self._options.top_k

    async def find(self, run: Run, wanted: Wanted) -> Sequence[Passage]:
        """The best passages; none before the first upsert."""
        if run.chatflow is None:
            return ()
        store: UUID = Owner(run.chatflow, self.node.id, "").store_id
        try:
            return await run.backing.search(
                run.workspace,
                store,
                wanted.question,
                k=wanted.k or self.k,
                where=both(self._where(run), wanted.where),
                more=wanted.stages,
            )
        except NotFound:
            return ()

    def _where(self, run: Run) -> Mapping[str, Any] | None:
        options = self._options
        if not isinstance(options, FilteredOptions):
            return None
        parts: list[Mapping[str, Any]] = [options.pg_metadata_filter] if options.pg_metadata_filter else []
        if options.file_upload:
            parts.append({"$or": [{CHAT: run.chat}, {CHAT: {"$exists": False}}]})
        return {"$and": parts} if parts else None


def both(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The filter that passes what both of them pass."""
    parts = [each for each in (one, other) if each]
    return {"$and": parts} if len(parts) > 1 else next(iter(parts), None)


class Postgres(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    label = "Postgres"
    version = 7
    unused = (
        "host",
        "database",
        "port",
        "ssl",
        "tableName",
        "distanceStrategy",
        "batchSize",
        "additionalConfig",
        "contentColumnName",
    )
    Options = FilteredOptions


class Faiss(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    label = "Faiss"
    unused = ("basePath",)


class MemoryVectorStore(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words. They outlive restarts."""

    label = "In-Memory Vector Store"


class SimpleStore(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    label = "SimpleStore"
    base_classes = ("SimpleVectorStore", "VectorIndexRetriever")
    upserts = frozenset({"document", "embeddings", "model"})
    unused = ("basePath",)
