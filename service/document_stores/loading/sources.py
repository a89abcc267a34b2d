"""Source ids of files that belong to one loader: told apart from files of the same name in other loaders."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.types import LONGEST_MIME, LONGEST_SOURCE, DocumentState
from service.document_stores.types import Upload
from service.errors import Unprocessable
from stores.records.database import Scope

TEXT = "text:"
"""Begins the source of a text that was typed in: it is no file."""


def check_names(field: str, name: str, source: str, mime: str | None) -> None:
    """Raises `Unprocessable`, naming the field that they came in, for a source or a MIME type that is too long."""
    if (size := len(source.encode())) > LONGEST_SOURCE:
        raise Unprocessable(f"{field}: '{name[:100]}' makes a source of {size} bytes, the limit is {LONGEST_SOURCE}")
    if mime and len(mime) > LONGEST_MIME:
        raise Unprocessable(f"{field}: the MIME type of '{name[:100]}' has more than {LONGEST_MIME} characters")


async def file_names(scope: Scope, store_id: UUID, loader_id: UUID) -> frozenset[str]:
    """The files that a loader has, by name, without texts and without what was taken off it."""
    held = await ledger.of_store(scope, store_id, loader_id=loader_id)
    return frozenset(
        row.name for row in held if not row.source.startswith(TEXT) and row.state is not DocumentState.LEAVING
    )


async def own_sources(
    scope: Scope, store_id: UUID, loader_id: UUID | None, uploads: Sequence[Upload], *, apart: bool
) -> list[Upload]:
    """The uploads of a loader under the sources that it has for files of these names.

    `apart`: where another loader of the document store has the source already, the upload gets one of its own; without
    it the newest upload wins, whoever had the source.
    """
    own = await ledger.of_store(scope, store_id, loader_id=loader_id) if loader_id is not None else []
    by_name = {document.name: document.source for document in own if not document.source.startswith(TEXT)}
    taken = await ledger.by_source(scope, store_id, [upload.source or "" for upload in uploads]) if apart else {}
    named, given = [], set()
    for upload in uploads:
        source = upload.source or ""
        if upload.name in by_name and by_name[upload.name] not in given:
            source = by_name[upload.name]
        elif source in taken and taken[source].loader_id != loader_id:
            source = await _free(scope, store_id, source)
        given.add(source)
        named.append(replace(upload, source=source))
    return named


async def _free(scope: Scope, store_id: UUID, source: str) -> str:
    """The first of `source@2`, `source@3`, ... that no document has."""
    number = 2
    while await ledger.by_source(scope, store_id, [f"{source}@{number}"]):
        number += 1
    return f"{source}@{number}"
