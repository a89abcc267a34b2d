"""Vector-store nodes of a flow: each is a document store that the flow owns, filled by `/vector/upsert`.

Chroma and Qdrant nodes keep their vectors in the server that they name. Of every other product that a node names, this
service's own vector store takes the place: where its server is has no meaning here, and the answer of an upsert says
so. The node's fields say how many passages are found and which; the texts are kept by this service in any case.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Anchor, Links, ModelStep, RetrieverStep, StepOptions, Wanted
from service.chatflows.steps.document_store import DEFAULT_TOP_K, MAX_TOP_K, MetadataFilter, both
from service.chatflows.types import FlowNotRunnable, Passage
from service.document_stores.types import Component, Owner
from service.errors import NotFound
from service.json_text import parsed
from service.retrieval.base import HitStage
from service.retrieval.mmr import Mmr, MmrOptions
from stores.vector.filters import parse
from stores.vector.translation import from_qdrant

CHAT = "flowise_chatId"
"""Metadata field of what a conversation brought along: only that conversation finds it."""


class VectorStoreOptions(StepOptions):
    """Fields that every vector-store node has."""

    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, title="Top K", description="Passages to find.")

    @property
    def where(self) -> Mapping[str, Any] | None:
        """What passages must pass."""
        return None

    @property
    def stages(self) -> tuple[HitStage, ...]:
        """What is done with what was found."""
        return ()


class UploadOptions(VectorStoreOptions):
    """Fields of a node that takes files of conversations."""

    file_upload: bool = Field(
        False, title="File Upload", description="Conversations may bring files, which only they find."
    )


class FilteredOptions(UploadOptions):
    """Fields of a node with a filter and with files of conversations."""

    pg_metadata_filter: MetadataFilter = Field(None, title="Metadata Filter", description="Passages must pass it.")

    @property
    def where(self) -> Mapping[str, Any] | None:
        """The node's filter."""
        return self.pg_metadata_filter


class ChromaOptions(VectorStoreOptions):
    """Fields of a Chroma node that have a meaning here."""

    chroma_url: str = Field(
        "", alias="chromaURL", title="Chroma URL", description="Empty: the service's own vector store."
    )
    chroma_metadata_filter: MetadataFilter = Field(
        None, title="Chroma Metadata Filter", description="Passages must pass it."
    )

    @property
    def where(self) -> Mapping[str, Any] | None:
        """The node's filter."""
        return self.chroma_metadata_filter


class QdrantOptions(UploadOptions):
    """Fields of a Qdrant node that have a meaning here."""

    qdrant_server_url: str = Field("", title="Qdrant Server URL", description="Empty: the service's own vector store.")
    metadata_payload_key: str = Field(
        "metadata", title="Metadata Key", description="What the fields of the filter begin with."
    )
    qdrant_filter: dict[str, Any] | None = Field(
        None, title="Qdrant Search Filter", description="Passages must pass it; written for Qdrant, or as elsewhere."
    )

    @field_validator("qdrant_filter", mode="before")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Any:
        return _filter(value, str(info.data.get("metadata_payload_key", "metadata")))

    @property
    def where(self) -> Mapping[str, Any] | None:
        """The node's filter."""
        return self.qdrant_filter


class PineconeOptions(UploadOptions):
    """Fields of a Pinecone node that have a meaning here."""

    pinecone_metadata_filter: MetadataFilter = Field(
        None, title="Pinecone Metadata Filter", description="Passages must pass it."
    )
    search_type: Literal["similarity", "mmr"] = Field(
        "similarity", title="Search Type", description="mmr: passages that say different things."
    )
    fetch_k: int | None = Field(None, ge=1, le=1000, title="Fetch K", description="Passages that mmr picks from.")
    balance: float = Field(
        0.5, alias="lambda", ge=0, le=1, title="Lambda", description="1 looks at relevance alone, 0 at difference."
    )

    @property
    def where(self) -> Mapping[str, Any] | None:
        """The node's filter."""
        return self.pinecone_metadata_filter

    @property
    def stages(self) -> tuple[HitStage, ...]:
        """The picking of passages that say different things, where the node wants it."""
        if self.search_type == "similarity":
            return ()
        return (Mmr(MmrOptions(balance=self.balance, fetch_k=self.fetch_k)),)


def _filter(value: Any, root: str = "") -> Any:
    """A filter or its text, checked; with `root`, it may be written for Qdrant."""
    found = parsed(value) if isinstance(value, str) else value
    if isinstance(found, dict) and found:
        found = from_qdrant(found, root) if root else found
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
    server: ClassVar[str] = ""
    """The field that names the server to keep the vectors in; empty: they are always kept here."""
    Options: ClassVar[type[StepOptions]] = VectorStoreOptions

    @classmethod
    def place(cls, node: Node) -> Component:
        """The vector store to fill."""
        if not cls.server or not node.inputs.get(cls.server):
            return Component("pgvector")
        credential = {"credential": node.credential} if node.credential else {}
        return Component(node.name, {cls.server: node.inputs[cls.server], **credential})

    @classmethod
    def notes(cls, node: Node) -> list[str]:
        """What of the node's fields has no effect, and why."""
        unused = ", ".join(name for name in cls.unused if node.inputs.get(name) not in (None, ""))
        said = f"{unused} {'have' if ', ' in unused else 'has'} no effect: " if unused else ""
        if cls.server and node.inputs.get(cls.server):
            return [f"{node.title}: {said}this service names its own collections"] if unused else []
        named = f"; it names no server ({cls.server})" if cls.server else ""
        if not unused and not named:
            return []
        return [f"{node.title}: {said}this service keeps the vectors itself{named}"]

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `VectorStoreOptions`."""
        super().__init__(node, options, links)
        self._options: VectorStoreOptions = options

    @property
    def k(self) -> int:
        """The node's own number."""
        return self._options.top_k

    async def find(self, run: Run, wanted: Wanted) -> Sequence[Passage]:
        """The best passages; before the first upsert, what `unfilled` says."""
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
                more=(*wanted.before, *self._options.stages, *wanted.after),
            )
        except NotFound:
            return self.unfilled(run.chatflow)

    def unfilled(self, chatflow: UUID) -> Sequence[Passage]:
        """What is found while nothing was ever upserted into the node: nothing."""
        return ()

    def _where(self, run: Run) -> Mapping[str, Any] | None:
        options = self._options
        parts: list[Mapping[str, Any]] = [options.where] if options.where else []
        # whatever node it is: upserts mark the files of conversations wherever this field is on
        if str(self.node.inputs.get("fileUpload")).lower() == "true":
            parts.append({"$or": [{CHAT: run.chat}, {CHAT: {"$exists": False}}]})
        return {"$and": parts} if parts else None


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


class Chroma(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words. Their vectors are in Chroma."""

    label = "Chroma"
    version = 2
    unused = ("collectionName",)
    server = "chromaURL"
    Options = ChromaOptions


class Qdrant(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words. Their vectors are in Qdrant."""

    label = "Qdrant"
    version = 5
    unused = (
        "qdrantCollection",
        "qdrantVectorDimension",
        "contentPayloadKey",
        "batchSize",
        "qdrantSimilarity",
        "qdrantCollectionConfiguration",
    )
    server = "qdrantServerUrl"
    Options = QdrantOptions


class Faiss(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    label = "Faiss"
    unused = ("basePath",)


class MemoryVectorStore(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words. They outlive restarts."""

    label = "In-Memory Vector Store"


class Pinecone(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    label = "Pinecone"
    version = 5
    unused = ("pineconeIndex", "pineconeNamespace", "pineconeTextKey")
    Options = PineconeOptions

    @classmethod
    def notes(cls, node: Node) -> list[str]:
        """What has no effect, and where the documents are that the node found so far."""
        return [f"{note}; what an index at Pinecone holds is upserted here once" for note in super().notes(node)]

    def unfilled(self, chatflow: UUID) -> Sequence[Passage]:
        """Raises `FlowNotRunnable`: whoever exported the flow has an index that is full, and is not to be told that
        nothing was found."""
        raise FlowNotRunnable(
            f"{self.title}: nothing of an index at Pinecone is read, and nothing was upserted into the node yet. Upsert"
            f" its documents once (POST /api/v1/vector/upsert/{chatflow}), or use documentStoreVS for a document store"
        )


class SimpleStore(VectorStore):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    label = "SimpleStore"
    base_classes = ("SimpleVectorStore", "VectorIndexRetriever")
    upserts = frozenset({"document", "embeddings"})
    anchors = (Anchor("model", ModelStep, "Chat Model, for a query engine above", optional=True),)
    unused = ("basePath",)


class PineconeLlama(Pinecone):
    """Finds passages in what was upserted into the node, by meaning and by words."""

    version = 1
    base_classes = ("Pinecone", "VectorIndexRetriever")
    upserts = SimpleStore.upserts
    anchors = SimpleStore.anchors
