"""What the rest of the service lends to the steps of a flow."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from service.chatflows import service as chatflows
from service.chatflows.run import Backing, Cited, Page, Quoted, Run, StoredTool
from service.chatflows.types import Passage, StepEvent, Turn
from service.credentials import service as credentials
from service.predictions.pages import read_pages
from service.providers.defaults import defaults_from
from service.retrieval.base import Models, Stage
from service.retrieval.pipeline import Pipeline
from service.tools import service as tools
from service.viewers import ANYBODY, Viewer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from service.resources import Resources


def backing(resources: "Resources", viewer: Viewer = ANYBODY) -> Backing:
    """The steps' view of these resources, for a run on behalf of `viewer`: no step can ask for anybody else."""
    lent = _Lent(resources, viewer)
    return Backing(
        lent.search,
        lent.quote,
        lent.reveal,
        defaults_from(resources.settings, resources.egress),
        resources.settings.chat_model,
        script=resources.javascript,
        stored_tool=lent.stored_tool,
        predict=lent.predict,
        pages=lent.pages,
        document_store=lent.document_store,
        flow=lent.flow,
    )


@dataclass(frozen=True, slots=True)
class _Lent:
    """The functions of a `Backing`, each as its field says."""

    resources: "Resources"
    viewer: Viewer

    async def search(
        self,
        workspace: UUID,
        store: UUID,
        question: str,
        *,
        k: int,
        where: Mapping[str, Any] | None = None,
        retrieval: Pipeline | None = None,
        more: Sequence[Stage] = (),
        models: Models | None = None,
        history: Sequence[Turn] = (),
    ) -> Sequence[Passage]:
        from service.document_stores.search import filter_of
        from service.document_stores.search import search as find

        found = await find(
            self.resources,
            workspace,
            store,
            question,
            viewer=self.viewer,
            k=k,
            where=filter_of(where),
            retrieval=retrieval,
            more=more,
            models=models,
            history=history,
        )
        return [Passage(str(item.id), item.text, item.metadata, item.score, str(item.document_id)) for item in found]

    async def quote(self, question: str, passages: Sequence[Passage]) -> Quoted:
        return await quoted(self.resources, question, passages)

    async def reveal(self, workspace: UUID, credential: UUID, host: str | None) -> Mapping[str, str]:
        return await credentials.reveal(self.resources, workspace, credential, host=host)

    async def stored_tool(self, workspace: UUID, tool: UUID) -> StoredTool:
        return await tools.stored(self.resources.database, workspace, tool)

    async def document_store(self, workspace: UUID, store: UUID) -> None:
        from service.document_stores.search import store_of

        await store_of(self.resources, workspace, store)

    async def flow(self, workspace: UUID, chatflow: UUID) -> None:
        await chatflows.get(self.resources.database, workspace, chatflow)

    async def pages(self, url: str, *, method: str | None = None, limit: int = 1, depth: int = 1) -> Sequence[Page]:
        return await read_pages(self.resources, url, method=method, limit=limit, depth=depth)

    def predict(
        self,
        run: Run,
        flow: UUID,
        question: str,
        *,
        session: str = "",
        overrides: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        cited: Cited | None = None,
    ) -> AsyncGenerator[StepEvent, None]:
        from service.predictions.nested import called

        return called(self.resources, run, flow, question, session=session, overrides=overrides, form=form, cited=cited)


async def quoted(resources: "Resources", question: str, passages: Sequence[Passage]) -> Quoted:
    """The extractive answer, its sources numbered from 1 in the order in which they are quoted; their metadata say, as
    `quotes`, where in their text the quoted sentences stand (characters)."""
    from service.answers import extractive

    embedder = await resources.embedders.get()

    async def embed(texts: Sequence[str]) -> "NDArray[np.float32]":
        return await embedder.embed_array(list(texts), urgent=True)

    read = [extractive.Passage(item.text, number, _above(item)) for number, item in enumerate(passages, 1)]
    answer = await extractive.answer(question, read, embed)
    places = {number: place for place, number in enumerate(answer.used, 1)}
    pieces = answer.pieces
    if answer.found:
        pieces = tuple(_renumbered(item.piece, item.passage + 1, places[item.passage + 1]) for item in answer.quotes)
    quotes: dict[int, list[dict[str, int]]] = {number: [] for number in answer.used}
    for item in answer.quotes:
        quotes[item.passage + 1].append({"start": item.start, "end": item.end})
    used = [
        replace(passages[number - 1], metadata={**passages[number - 1].metadata, "quotes": places})
        for number, places in quotes.items()
    ]
    return Quoted(pieces, tuple(used), answer.found)


def _renumbered(piece: str, number: int, place: int) -> str:
    return f"{piece.removesuffix(f'[{number}]')}[{place}]"


def _above(passage: Passage) -> str:
    """What stands above a chunk in its document."""
    return str(passage.metadata.get("heading") or passage.metadata.get("title") or "")
