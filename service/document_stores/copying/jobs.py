"""The background work of a copy: take the documents over with their uploads, then index them as an upsert does."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from service.document_stores import jobs as store_jobs
from service.document_stores import records
from service.document_stores.copying import records as copies
from service.document_stores.copying.service import loader_in
from service.document_stores.copying.types import Original
from service.document_stores.own_chunks import LOADER as OWN_CHUNKS
from service.document_stores.recipe import Recipe
from service.document_stores.types import Component
from service.errors import NotFound
from service.resources import Resources
from service.worker.work import Work
from stores.blobs.base import UnknownBlob
from stores.blobs.pending import Pending, pending

AT_ONCE = 20
"""Documents that are taken over in one transaction."""


async def copy(work: Work) -> Mapping[str, Any]:
    """Take over what the copy lacks of the original, and index it. Raises `NotFound` when either is gone."""
    left_out = await _take_over(work)
    result = await store_jobs.ingest(work)
    return {**result, "numLeftOut": left_out}


async def _take_over(work: Work) -> int:
    """All documents that the copy lacks, in batches; how many of the original are left out."""
    resources, workspace = work.resources, work.job.workspace
    copy_id, of = UUID(work.payload["storeId"]), UUID(work.payload["of"])
    given = work.payload["splitter"]
    splitter = Component(**given) if given else None
    done = 0
    while True:
        async with resources.database.read(workspace) as scope:
            if await records.get(scope, of) is None:
                raise NotFound(f"Document store {of} was deleted while it was copied")
            total, left_out = await copies.counts(scope, of)
            batch = await copies.lacking(scope, of, copy_id, AT_ONCE)
        if not batch:
            return left_out
        async with pending(resources.blobs) as held:
            rows = [(uuid4(), await _taken(resources, held, copy_id, row, splitter)) for row in batch]
            async with resources.database.write(workspace) as scope:
                if await records.hold(scope, copy_id) is None:
                    raise NotFound(f"Document store {copy_id} was deleted")
                await copies.take_over(scope, copy_id, work.job.id, rows)
                done += len(rows)
                await work.note(scope, "copying", done, max(total, done))
                held.referred()


async def _taken(
    resources: Resources, held: Pending, copy_id: UUID, row: Original, splitter: Component | None
) -> Original:
    """The document as the copy has it: with an upload and a recipe of its own. One whose upload is lost stays without,
    and fails with this reason when it is loaded."""
    recipe = Recipe.from_json(row.recipe)
    if splitter is not None and recipe.loader != OWN_CHUNKS:
        recipe = replace(recipe, splitter=splitter.name or "default", splitter_options=splitter.config)
    blob = ""
    try:
        async with resources.blobs.path(row.blob) as path:
            blob = await _kept(resources, held, path, row.size)
    except UnknownBlob:
        pass
    return replace(row, loader_id=loader_in(copy_id, row.loader_id), recipe=recipe.as_json(), blob=blob)


async def _kept(resources: Resources, held: Pending, path: Path, size: int) -> str:
    with path.open("rb") as stream:
        return held.add(await resources.blobs.put(stream, limit=size)).key
