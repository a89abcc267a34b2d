"""Document stores as those are shown them who may not read every document: without texts that are restricted."""

from collections.abc import Sequence
from dataclasses import replace

from service.document_stores.ledger.types import ChunkRow
from service.document_stores.types import LoaderRow, StoreRow
from service.http.access import Caller
from service.secret_names import TEXTS
from service.viewers import believed


def shown_to(caller: Caller, store: StoreRow) -> StoreRow:
    """The document store; documents that lie in the configurations of its loaders are left out where this caller might
    not find them."""
    if believed(caller):
        return store
    return replace(store, loaders=[_plain(item) if store.restricted else _checked(item) for item in store.loaders])


def loader_shown_to(caller: Caller, loader: LoaderRow) -> LoaderRow:
    """A loader of a document store that may be restricted, likewise."""
    return loader if believed(caller) else _plain(loader)


def chunks_shown_to(caller: Caller, store: StoreRow, chunks: Sequence[ChunkRow]) -> Sequence[ChunkRow]:
    """Those of the chunks of a document store that everybody may find, unless this caller may read all."""
    if believed(caller):
        return chunks
    return [chunk for chunk in chunks if chunk.principals is None and not store.restricted]


def is_marked(loader: LoaderRow) -> bool:
    """Whether not everybody may find what a loader brings, or all that it has brought."""
    return any(mark is not None for mark in (loader.principals, *(file.principals for file in loader.files)))


def _checked(loader: LoaderRow) -> LoaderRow:
    return _plain(loader) if is_marked(loader) else loader


def _plain(loader: LoaderRow) -> LoaderRow:
    return replace(loader, config={key: value for key, value in loader.config.items() if key not in TEXTS})
