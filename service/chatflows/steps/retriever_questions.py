"""Retrievers that have a model change the question: in other words, or as an answer might be worded."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from service.chatflows.run import Run
from service.chatflows.steps.base import StepOptions
from service.chatflows.steps.document_store import DEFAULT_TOP_K, MAX_TOP_K
from service.chatflows.steps.prompts import Template
from service.chatflows.steps.retrievers import BASE, MODEL, STORE, OverRetriever, QueryOptions, TopKOptions
from service.retrieval.asking import Prompt
from service.retrieval.base import QuestionStage
from service.retrieval.hyde import Hyde, HydeOptions
from service.retrieval.multi_query import MOST, MultiQuery, MultiQueryOptions

KINDS = {
    "websearch": "a web page",
    "scifact": "a scientific paper, for or against the claim,",
    "arguana": "an argument against the text,",
    "trec-covid": "a scientific paper",
    "fiqa": "a financial article",
    "dbpedia-entity": "an encyclopedia",
    "trec-news": "a news article",
    "mr-tydi": "a web page",
}
"""Flowise's names of prompts -> where our prompt says that the passage might stand."""


class MultiQueryRetrieverOptions(StepOptions):
    """Fields of the node."""

    model_prompt: str = Field("", title="Prompt", description="With {question} in it; empty: the service's own.")


class MultiQueryRetriever(OverRetriever):
    """Searches for the question and for other ways to put it."""

    label = "Multi Query Retriever"
    base_classes = ("MultiQueryRetriever", "BaseRetriever")
    outputs = ()
    below = STORE
    anchors = (STORE, MODEL)
    formats = frozenset({"modelPrompt"})
    Options = MultiQueryRetrieverOptions
    options: MultiQueryRetrieverOptions

    def before(self, run: Run) -> Sequence[QuestionStage]:
        assert self._model is not None
        own = self.options.model_prompt
        options = MultiQueryOptions(count=MOST) if own else None
        return [MultiQuery(options, self._model.ask(run), filled(own))]


class RrfRetrieverOptions(TopKOptions):
    """Fields of the node."""

    query_count: int = Field(4, ge=1, le=100, title="Query Count", description="Questions to add.")
    c: float = Field(60, gt=0, le=10_000, title="Constant", description="Added to every rank.")


class RrfRetriever(OverRetriever):
    """Searches for the question and for other ways to put it; what is found often and early comes first."""

    label = "Reciprocal Rank Fusion Retriever"
    base_classes = ("RRFRetriever", "BaseRetriever")
    below = BASE
    anchors = (BASE, MODEL)
    Options = RrfRetrieverOptions
    options: RrfRetrieverOptions

    def before(self, run: Run) -> Sequence[QuestionStage]:
        assert self._model is not None
        chosen = self.options
        options = MultiQueryOptions(count=min(chosen.query_count, MOST), fusion="ranks", constant=chosen.c)
        return [MultiQuery(options, self._model.ask(run))]


class HydeRetrieverOptions(QueryOptions):
    """Fields of the node."""

    prompt_key: Literal[
        "websearch", "scifact", "arguana", "trec-covid", "fiqa", "dbpedia-entity", "trec-news", "mr-tydi"
    ] = Field("websearch", title="Select Defined Prompt")
    custom_prompt: str = Field("", title="Custom Prompt", description="With {question} in it; before the defined one.")
    top_k: int = Field(DEFAULT_TOP_K, ge=1, le=MAX_TOP_K, title="Top K", description="Passages to give.")


class HydeRetriever(OverRetriever):
    """Searches for the question and for a passage as an answer might be worded."""

    label = "HyDE Retriever"
    version = 3
    base_classes = ("HydeRetriever", "BaseRetriever")
    below = STORE
    anchors = (MODEL, STORE)
    formats = frozenset({"customPrompt"})
    Options = HydeRetrieverOptions
    options: HydeRetrieverOptions

    def before(self, run: Run) -> Sequence[QuestionStage]:
        assert self._model is not None
        options = HydeOptions(kind=KINDS[self.options.prompt_key])
        return [Hyde(options, self._model.ask(run), filled(self.options.custom_prompt))]


def filled(own: str) -> Prompt | None:
    """The prompt of a node's template; None where it has none. The question stands at the end where it has no place."""
    if not own:
        return None
    template = Template.parse(own)
    if not template.holds("question"):
        template = Template((*template.parts[:-1], template.parts[-1] + "\n\n", "question", ""))
    return lambda question: template.fill({"question": question})
