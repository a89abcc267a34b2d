"""Vector stores: one port (`base`), one filter grammar (`filters`), one file a backend."""

from importlib.metadata import entry_points
from pkgutil import resolve_name
from urllib.parse import urlsplit

from stores.vector.base import VectorStore, VectorStoreError

VECTOR_STORES = {
    "chroma": "stores.vector.chroma:ChromaVectorStore",
    "memory": "stores.vector.memory:MemoryVectorStore",
    "pgvector": "stores.vector.pgvector:PgVectorStore",
    "qdrant": "stores.vector.qdrant:QdrantVectorStore",
}
"""Scheme of the URL to the class that is opened for it."""

ENTRY_POINTS = "ragstone.vector_stores"
"""The entry point group in which other packages offer backends: scheme to a subclass of `VectorStore`."""


class UnknownVectorStore(VectorStoreError):
    """No backend has this name; the message lists those that exist."""


def vector_store_names() -> list[str]:
    """The schemes that can be opened, those of other packages included."""
    return sorted({*VECTOR_STORES, *entry_points(group=ENTRY_POINTS).names})


def vector_store_class(name: str) -> type[VectorStore]:
    """The class behind a scheme, imported now. Our own names come before those of other packages."""
    if name in VECTOR_STORES:
        found = resolve_name(VECTOR_STORES[name])
    else:
        offered = entry_points(group=ENTRY_POINTS, name=name)
        if not offered:
            raise UnknownVectorStore(f"{name!r} is no vector store; known are {', '.join(vector_store_names())}")
        found = next(iter(offered)).load()
    if not (isinstance(found, type) and issubclass(found, VectorStore)):
        raise VectorStoreError(f"the vector store {name!r} is {found!r}, which is no subclass of VectorStore")
    return found


def open_vector_store(url: str, database: object = None) -> VectorStore:
    """The store that a URL means: `memory://`, `pgvector://?type=halfvec`, `chroma://host:8000`, `qdrant://host:6333`.

    `database` is the service's `Database`, which pgvector lives in. Raises `UnknownVectorStore`, and `BadUrl` for
    options that the backend does not know.
    """
    parts = urlsplit(url)
    return vector_store_class(parts.scheme).open(parts, database)
