"""Document stores as targets: what is asked of them, and the chunks that they find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.chatflows.types import Turn
from service.document_stores.search import filter_of, limit_of, search
from service.document_stores.types import FoundChunk
from service.errors import Unprocessable
from service.evaluations.types import Passage, Target
from service.resources import Resources
from service.retrieval.pipeline import Pipeline, of_strategy, pipeline
from service.viewers import ANYBODY, Viewer
from stores.vector.filters import Filter

OPTIONS = ("topK", "filter", "strategy", "retrieval", "principals")


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What shapes a search. None: as the document store is configured, else the default."""

    k: int | None = None
    where: Filter | None = None
    retrieval: Pipeline | None = None
    viewer: Viewer = ANYBODY


def read_options(given: Mapping[str, Any]) -> SearchOptions:
    """The options of a document store as a target, by the names of `vectorstore/query`. Who names no `principals` asks
    for anybody: what everybody may find. Raises `Unprocessable` naming the field."""
    for name in given:
        if name not in OPTIONS:
            raise Unprocessable(f"options.{name[:100]}: a document store takes {', '.join(OPTIONS)}")
    top, stages, strategy = given.get("topK"), given.get("retrieval"), given.get("strategy")
    if stages is not None and strategy not in (None, ""):
        raise Unprocessable("options.strategy: comes in place of `retrieval`, not together with it")
    if strategy not in (None, "") and not isinstance(strategy, str):
        raise Unprocessable("options.strategy: must be the name of a stage")
    stages_of = None if stages is None else pipeline(stages, "options.retrieval")
    return SearchOptions(
        k=None if top in (None, "") else limit_of(top, "options.topK"),
        where=filter_of(given.get("filter")),
        retrieval=of_strategy(strategy) if strategy else stages_of,
        viewer=_viewer(given.get("principals")),
    )


def _viewer(principals: object) -> Viewer:
    if principals is None:
        return ANYBODY
    if not isinstance(principals, list) or not all(isinstance(item, str) for item in principals):
        raise Unprocessable("options.principals: must be a list of texts")
    return Viewer(frozenset(principals))


async def found_by(
    resources: Resources,
    workspace: UUID,
    target: Target,
    options: SearchOptions,
    question: str,
    *,
    history: Sequence[Turn] = (),
    documents: frozenset[str] = frozenset(),
) -> tuple[Passage, ...]:
    """The chunks that a document store finds, best first. `history`: the turns before the question; `documents`: those
    that are looked for, by whatever id they are named. Raises what the search raises."""
    found = await search(
        resources,
        workspace,
        target.id,
        question,
        viewer=options.viewer,
        k=options.k,
        where=options.where,
        retrieval=options.retrieval,
        history=history,
    )
    return tuple(_passage(item, documents) for item in found)


def _passage(chunk: FoundChunk, documents: frozenset[str]) -> Passage:
    return Passage(
        text=chunk.text,
        chunk_id=str(chunk.id),
        document_id=document_of(str(chunk.document_id), chunk.metadata, documents),
        sources=sources_of(chunk.metadata),
        score=chunk.score,
    )


def sources_of(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of where a chunk comes from: its file or page, and its title."""
    names = (metadata.get("source"), metadata.get("fileName"), metadata.get("title"), metadata.get("url"))
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name.strip()))


def document_of(document: str, metadata: Mapping[str, Any], wanted: frozenset[str]) -> str:
    """The id by which a passage's document is looked for: that of the loader that brought it (`docId`, as callers of
    the contract see it) where that is `wanted`, else its own."""
    loader = str(metadata.get("docId") or "")
    return loader if loader in wanted else document or loader
