"""The files of a loader that serves as a template: a call that brings none takes those."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

from service.document_stores.gathering.records import component
from service.document_stores.ledger import records as ledger
from service.document_stores.loading.files import carries_files
from service.document_stores.loading.mapping import is_remote
from service.document_stores.loading.sources import TEXT
from service.document_stores.types import Component, Upload, Upsert
from service.resources import Resources


@asynccontextmanager
async def files_of(
    resources: Resources, workspace: UUID, store_id: UUID, asked: Upsert, uploads: Sequence[Upload]
) -> AsyncIterator[Sequence[Upload]]:
    """The call's own files, or copies of those that the loader `doc_id` holds, when that is only a template and the
    call brings nothing itself. A loader that fetches is asked for its documents again, they are not copied."""
    if uploads or asked.doc_id is None or (asked.replace_existing and not asked.new_store) or _brings(asked):
        yield uploads
        return
    async with resources.database.read(workspace) as scope:
        template = await component(scope, store_id, asked.doc_id)
        remote = template is not None and is_remote(template[0].name)
        documents = [] if remote else await ledger.of_store(scope, store_id, loader_id=asked.doc_id)
    if template is not None and _types_text(asked, template[0]):  # the configuration brings it
        documents = [document for document in documents if not document.source.startswith(TEXT)]
    async with AsyncExitStack() as stack:
        copies = []
        for document in documents:
            path = await stack.enter_async_context(resources.blobs.path(document.blob))
            stream = stack.enter_context(path.open("rb"))
            copies.append(Upload(document.name, stream, document.mime, document.source))
        yield copies


def _types_text(asked: Upsert, template: Component) -> bool:
    """Whether the call's loader has the text in its configuration that the template was made of."""
    name = (asked.loader.name if asked.loader else None) or template.name
    return name == template.name == "plainText" and "text" in template.config


def _brings(asked: Upsert) -> bool:
    loader = asked.loader
    return loader is not None and (
        carries_files(loader.config) or "text" in loader.config or (bool(loader.name) and is_remote(loader.name))
    )
