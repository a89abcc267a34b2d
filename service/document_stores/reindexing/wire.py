"""What a re-index is asked with."""

from typing import Any
from uuid import UUID

from pydantic import Field

from service.document_stores.recipe import clean
from service.document_stores.types import Component
from service.http.wire import Body


class ReindexBody(Body):
    """The document store, and the embedding and the vector store that it is to have."""

    store_id: UUID
    embedding_name: str | None = Field(
        None, max_length=200, description="Default: the embedding that is configured", examples=["openAIEmbeddings"]
    )
    embedding_config: dict[str, Any] | None = Field(None, examples=[{"modelName": "text-embedding-3-small"}])

    vector_store_name: str | None = Field(
        None, max_length=200, description="Default: the vector store that is configured", examples=["chroma"]
    )
    vector_store_config: dict[str, Any] | None = Field(None, examples=[{"chromaURL": "http://chroma.example:8000"}])

    def embedding(self) -> Component | None:
        """The embedding, if one is named."""
        if not self.embedding_name:
            return None
        return Component(self.embedding_name, clean(self.embedding_config or {}, "embeddingConfig"))

    def vector_store(self) -> Component | None:
        """The vector store, if one is named."""
        if not self.vector_store_name:
            return None
        return Component(self.vector_store_name, clean(self.vector_store_config or {}, "vectorStoreConfig"))
