"""What the retriever nodes share: each stands over another retriever and adds something to its search.

Nodes compose: what the upper one wants is handed down, and the vector store at the bottom searches once, with the
stages of all of them around its search.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import (
    Anchor,
    BadOption,
    Links,
    ModelStep,
    RetrieverStep,
    StepOptions,
    TextStep,
    Wanted,
)
from service.chatflows.steps.document_store import MAX_TOP_K
from service.chatflows.types import Passage
from service.retrieval.base import HitStage, QuestionStage

STORE = Anchor("vectorStore", RetrieverStep, "Vector Store")
BASE = Anchor("baseRetriever", RetrieverStep, "Vector Store Retriever")
MODEL = Anchor("model", ModelStep, "Language Model")


class QueryOptions(StepOptions):
    """The field that nearly all retriever nodes have."""

    query: str = Field(
        "", title="Query", description="What the outputs document and text are for; empty: the question."
    )


class TopKOptions(QueryOptions):
    """That, and how many passages are given."""

    top_k: int | None = Field(
        None, ge=1, le=MAX_TOP_K, title="Top K", description="Passages to give; empty: as the retriever below."
    )


class OverRetriever(RetrieverStep, TextStep):
    """A retriever over another one."""

    foreign = True

    outputs: ClassVar[tuple[str, ...]] = ("retriever", "document", "text")
    below: ClassVar[Anchor]
    """The anchor that the other one is linked to."""
    Options: ClassVar[type[StepOptions]] = TopKOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`. Raises `BadOption` when it needs a model and has one that quotes."""
        super().__init__(node, options, links)
        self.options = options
        (base,) = links[self.below.name]
        assert isinstance(base, RetrieverStep)
        self._base = base
        self._model = next((step for step in links.get("model", ()) if isinstance(step, ModelStep)), None)
        if self._model is not None and self._model.quotes:
            raise BadOption("model: needs a chat model that writes; this one quotes, or none is configured")

    @property
    def k(self) -> int:
        """The node's own number, else that of the retriever below."""
        own: int | None = getattr(self.options, "top_k", None)
        return own or self._base.k

    def before(self, run: Run) -> Sequence[QuestionStage]:
        """The stages that change the question."""
        return ()

    def after(self, run: Run, k: int) -> Sequence[HitStage]:
        """The stages that work on what was found, of which `k` are wanted."""
        return ()

    def shown(self, passages: Sequence[Passage]) -> Sequence[Passage]:
        """The passages as this node gives them."""
        return passages

    async def find(self, run: Run, wanted: Wanted) -> Sequence[Passage]:
        """What the retriever below finds, with this node's stages next to its search."""
        k = wanted.k or self.k
        asked = Wanted(
            wanted.question,
            k,
            wanted.where,
            (*wanted.before, *self.before(run)),
            (*self.after(run, k), *wanted.after),
        )
        return self.shown(await self._base.find(run, asked))

    async def documents(self, run: Run) -> Sequence[Passage]:
        """The output `document`: what is found for the node's own query, else for the question."""
        query: str = getattr(self.options, "query", "")
        return await self.retrieve(run, query.replace("{{question}}", run.question) or run.question)

    async def text(self, run: Run) -> str:
        """The output `text`: the texts of `documents`, each with a line end."""
        return "".join(f"{passage.text}\n" for passage in await self.documents(run))
