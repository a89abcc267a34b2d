"""Answers that people rated, as rows: a good answer is what is expected, a bad one a question that wants an answer."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.chatflows import service as chatflows
from service.datasets import records
from service.datasets.service import BATCH, MAX_CELL, MAX_SOURCE, MAX_SOURCES, insert, is_id, locked
from service.datasets.types import Gold, GoldKind, RatedAnswer, RatedAnswers, RowDraft, Taken
from service.feedback.types import Rating
from stores.records.database import Database

SHOWN = 10_000
"""Characters of a refused answer, or of what was said of it, that the row's metadata keep."""

KEPT_IN = {GoldKind.CHUNK: "chunkId", GoldKind.DOCUMENT: "docId", GoldKind.SOURCE: "source"}
"""Where the metadata of a source of an answer say this of it."""


async def take(database: Database, workspace: UUID, dataset_id: UUID, wanted: RatedAnswers) -> Taken:
    """Make rows of the rated answers of a chatflow, all in one transaction. An answer that the dataset has a row of is
    left as it is there, so that a second call makes none. Raises `NotFound`, `TooLarge`."""
    await chatflows.get(database, workspace, wanted.chatflow)
    created = known = 0
    async with database.write(workspace) as scope:
        held = await locked(scope, dataset_id)
        after = -1
        while found := await records.rated(scope, wanted, after, BATCH):
            after = found[-1].sequence
            there = await records.known(scope, dataset_id, [_origin(item) for item in found])
            fresh = [row_of(item, wanted) for item in found if _origin(item) not in there]
            known += len(found) - len(fresh)
            if fresh:
                await insert(scope, held, fresh)
                held = await records.touch(scope, dataset_id, len(fresh))
            created += len(fresh)
    return Taken(created, known)


def _origin(answer: RatedAnswer) -> str:
    return f"message:{answer.id}"


def row_of(answer: RatedAnswer, wanted: RatedAnswers) -> RowDraft:
    """The row of a rated answer."""
    metadata: dict[str, Any] = {
        "messageId": str(answer.id),
        "chatflowId": str(wanted.chatflow),
        "rating": answer.rating.value,
    }
    if answer.said:
        metadata["feedback"] = answer.said[:SHOWN]
    question = answer.question[:MAX_CELL]
    if answer.rating is Rating.UP and len(answer.answer) <= MAX_CELL:
        return RowDraft(question, answer.answer, golds(answer.sources, wanted.gold), metadata, origin=_origin(answer))
    metadata["answer"] = answer.answer[:SHOWN]
    return RowDraft(question, metadata=metadata, draft=True, origin=_origin(answer))


def golds(sources: Any, kind: GoldKind) -> tuple[Gold, ...]:
    """What must be found, of the sources of an answer (contract 1.2), each once; those that do not say what is wanted
    of them are named by their chunk, their document, or their source."""
    found: dict[Gold, None] = {}
    for item in sources if isinstance(sources, list) else ():
        if isinstance(item, Mapping) and (gold := _gold(item, kind)) is not None:
            found.setdefault(gold)
    return tuple(found)[:MAX_SOURCES]


def _gold(source: Mapping[str, Any], kind: GoldKind) -> Gold | None:
    text, metadata = source.get("pageContent"), source.get("metadata")
    if kind is GoldKind.QUOTE and isinstance(text, str) and text.strip():
        return Gold(kind, text.strip()[:MAX_SOURCE])
    for tried in dict.fromkeys((kind, *KEPT_IN)):
        value = metadata.get(KEPT_IN[tried]) if isinstance(metadata, Mapping) and tried in KEPT_IN else None
        if isinstance(value, str) and value.strip() and (tried is GoldKind.SOURCE or is_id(value)):
            return Gold(tried, value[:MAX_SOURCE])
    return None
