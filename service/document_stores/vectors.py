"""Where the vectors of a document store are, and where they are to be.

The configuration of a document store names the vector store that it is to have. Each of its collections remembers the
one that it lies in (`Backend`), so that searches, deletes and repairs find it whatever is configured by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit
from uuid import UUID

from service.credentials.service import reveal_in
from service.document_stores.collections import records as collections
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.types import Backend, Component, StoreRow
from service.errors import BadRequest, Conflict, NotFound, Unprocessable
from service.resources import Resources
from service.secret_names import query_names_secret
from stores.records.database import Scope
from stores.vector import VECTOR_STORES, vector_store_names
from stores.vector.base import Capability, VectorStore

OWN = (
    "pgvector",
    "postgres",
    "faiss",
    "memoryVectorStore",
    "pinecone",
    "pineconeLlamaIndex",
    "simpleStoreLlamaIndex",
)
"""Names that mean the service's own vector store: its database, unless the operator has chosen another one. Pinecone's
are among them, as its nodes are filled here (ADR 48): an index of the caller's is neither written to nor read."""


@dataclass(frozen=True, slots=True)
class Server:
    """How a component names its server, and which value of its credential is the key."""

    field: str
    key: str
    options: Mapping[str, str]
    """Values of the credential that are part of the place, by the URL's option."""


SERVERS = {
    "chroma": Server("chromaURL", "chromaApiKey", {"tenant": "chromaTenant", "database": "chromaDatabase"}),
    "qdrant": Server("qdrantServerUrl", "qdrantApiKey", {}),
}
"""Flowise's components whose vectors are kept in a server of the caller's."""

TOKEN = "token"  # noqa: S105 - the name of a value
"""The key's name in the credential of another package's backend, as in `httpBearerToken`."""

PORTS = {"http": 80, "https": 443}


class BackendChanged(Conflict):
    """The document store's vectors are in another vector store."""

    code = "vector_store_changed"
    private = True


def others() -> list[str]:
    """The backends of other packages."""
    return [name for name in vector_store_names() if name not in VECTOR_STORES]


def check_vector_store(component: Component | None) -> None:
    """Raises `Unprocessable` with the known names for a vector store that there is not, and naming the field for one
    whose place is no place."""
    if component is None or component.name in ("", *OWN):
        return
    if component.name in SERVERS:
        _server_url(component)
    elif component.name in VECTOR_STORES or component.name not in others():
        known = ", ".join([*OWN[:2], *SERVERS, *OWN[2:], *others()])
        raise Unprocessable(f"vectorStore.name: '{component.name}' is not available here; use {known}")
    else:
        _own_url(component)


async def backend_of(resources: Resources, scope: Scope, component: Component | None) -> Backend | None:
    """The vector store that a configuration names; None for the service's own, also where a server is not named.

    Raises `Unprocessable` for a place that cannot be used, `EgressRefused` for one that may not be called, `NotFound`
    for an unknown credential, `HostNotAllowed` for one that may not be sent there.
    """
    check_vector_store(component)
    if component is None or component.name in ("", *OWN):
        return None
    credential = _credential(component)
    if component.name not in SERVERS:
        backend = Backend(_own_url(component).geturl(), credential)
        resources.pool.check(backend, await _secret(resources, scope, backend))
        return backend
    url = _server_url(component)
    if url is None:
        return None
    resources.egress.check(url.geturl())
    server, options = SERVERS[component.name], {"ssl": "true"} if url.scheme == "https" else {}
    if credential is not None:
        values = await reveal_in(resources, scope, credential, host=url.hostname)
        options |= {name: values[field] for name, field in server.options.items() if values.get(field)}
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    place = f"{component.name}://{host}:{url.port or PORTS[url.scheme]}"
    backend = Backend(f"{place}?{urlencode(options)}" if options else place, credential)
    resources.pool.check(backend, await _secret(resources, scope, backend))
    return backend


async def vectors_at(resources: Resources, scope: Scope, backend: Backend | None) -> VectorStore:
    """The open vector store. Its key is read over `scope`, so that a transaction needs no second connection.

    Raises `Conflict` when its credential is gone, `HostNotAllowed`, `Unprocessable`.
    """
    if backend is None:
        return resources.vectors
    try:
        secret = await _secret(resources, scope, backend)
    except NotFound:
        raise Conflict(
            f"The credential {backend.credential} of the vector store {backend.title} is gone; configure another one"
        ) from None
    return await resources.pool.get(backend, secret)


async def vectors_of(resources: Resources, store: StoreRow) -> VectorStore:
    """The vector store that holds the collection of a document store. Raises as `vectors_at`."""
    if store.backend is None:
        return resources.vectors
    async with resources.database.read(store.workspace) as scope:
        return await vectors_at(resources, scope, store.backend)


async def writing_at(resources: Resources, scope: Scope, backend: Backend | None) -> tuple[VectorStore, bool]:
    """As `vectors_at`, writing in the transaction of `scope` where it can; and whether it does."""
    vectors = await vectors_at(resources, scope, backend)
    joins = Capability.TRANSACTION in vectors.capabilities
    return (vectors.within(scope.connection) if joins else vectors), joins


def same_place(one: Backend | None, other: Backend | None) -> bool:
    """Whether two are one vector store, whatever their keys."""
    return (one.url if one else None) == (other.url if other else None)


async def check_place(scope: Scope, store: StoreRow, wanted: Backend | None) -> None:
    """Let a document store, of which the caller has the lock, be configured for this vector store: its vectors are
    there, and its collections take over the credential, or it has none. Raises `BackendChanged`."""
    if store.collection is None:
        return
    if same_place(store.backend, wanted):
        if wanted is not None and wanted != store.backend:
            await collections.rebind(scope, store.id, wanted)
        return
    if await chunk_rows.any_indexed(scope, store.id):
        raise BackendChanged(
            f"The vectors of document store '{store.name}' are in {title(store.backend)}, the configured vector store"
            f" is {title(wanted)}. Move them, without embedding anew, by `ragstone store reindex {store.id}"
            " --vector-store NAME --vector-config FIELDS`, or upsert into a new document store."
        )


def title(backend: Backend | None) -> str:
    """What people call it."""
    return backend.title if backend else "the service's own vector store"


async def _secret(resources: Resources, scope: Scope, backend: Backend) -> str:
    if backend.credential is None:
        return ""
    values = await reveal_in(resources, scope, backend.credential, host=backend.host)
    key = SERVERS[backend.scheme].key if backend.scheme in SERVERS else TOKEN
    if not values.get(key):
        raise Unprocessable(f"vectorStore.config.credential: {backend.credential} has no {key}")
    return values[key]


def _credential(component: Component) -> UUID | None:
    found = component.config.get("credential") or component.config.get("FLOWISE_CREDENTIAL_ID")
    if not found:
        return None
    try:
        return UUID(str(found))
    except ValueError:
        raise BadRequest(f"vectorStore.config.credential: '{str(found)[:100]}' is not a credential id") from None


def _server_url(component: Component) -> SplitResult | None:
    """The URL of a component's server, None when it names none. Raises `Unprocessable`."""
    field = SERVERS[component.name].field
    value = component.config.get(field)
    if value is None or value == "":
        return None
    url = _split(field, value)
    if url.scheme not in PORTS or not url.hostname or url.path.strip("/") or url.query or url.fragment:
        shown = str(value)[:100]
        raise Unprocessable(f"vectorStore.config.{field}: must be like http://host:port, without a path, not '{shown}'")
    return url


def _own_url(component: Component) -> SplitResult:
    """The URL of another package's backend. Raises `Unprocessable`."""
    url = _split("url", component.config.get("url") or "")
    if url.scheme != component.name:
        raise Unprocessable(f"vectorStore.config.url: must begin with {component.name}://")
    if query_names_secret(url.geturl()):
        raise Unprocessable("vectorStore.config.url: holds a key; keys go into credentials")
    return url


def _split(field: str, value: Any) -> SplitResult:
    try:
        url = urlsplit(str(value).strip())
        named = url.port  # which raises for what is no number
    except ValueError as error:
        raise Unprocessable(f"vectorStore.config.{field}: {error}") from None
    if url.username is not None or url.password is not None or named == 0:
        message = "holds a name, a password or a bad port; keys go into credentials"
        raise Unprocessable(f"vectorStore.config.{field}: {message}")
    return url
