"""Retriever steps among themselves: what is handed down, in which order, what comes out in which form."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.chatflows.engine import CompiledFlow, compile_flow
from service.chatflows.graph import parse
from service.chatflows.run import Backing, Quoted, Run
from service.chatflows.steps.base import Wanted
from service.chatflows.steps.retriever_formats import written
from service.chatflows.steps.retriever_metadata import LONGEST_VALUE, MetadataField, conditions
from service.chatflows.steps.retrievers import OverRetriever
from service.chatflows.types import Passage, Usage
from service.retrieval.base import Query, Stage
from service.retrieval.pipeline import pipeline
from stores.vector.filters import parse as filter_of
from tests.service.chatflows.flows import edge, graph, node, openai
from tests.service.retrieval.library import Library, chunk
from tests.stubs.openai_server import OpenAIStub, Script, near

STORE = uuid4()
ROWS = [chunk(1, "Cats sleep.", year=2020), chunk(2, "Dogs bark.", year=2021), chunk(3, "Birds sing.", year=2022)]
VECTORS = {1: [1.0, 0.0], 2: [0.8, 0.6], 3: [0.0, 1.0]}


@dataclass
class Lent:
    """Searches three chunks with the stages that it is given, and remembers what was asked."""

    asked: list[Mapping[str, Any]] = field(default_factory=list)

    async def search(
        self,
        workspace: UUID,
        store: UUID,
        question: str,
        *,
        k: int,
        where: Mapping[str, Any] | None = None,
        more: Sequence[Stage] = (),
        **others: Any,
    ) -> Sequence[Passage]:
        """The chunks, nearest to (1, 0) first."""
        self.asked.append({"question": question, "k": k, "where": where, "stages": [stage.name for stage in more]})
        library = Library.of(*ROWS, vectors=VECTORS)
        library.embed_as = lambda text: [1.0, 0.0]
        stages = pipeline([{"name": "similarity"}]).plus(more)
        query = Query(question, k, None if where is None else filter_of(where))
        found = await stages.run(query, await library.sources())
        return [Passage(str(item.number), item.text, item.chunk.metadata, item.score) for item in found]

    async def quote(self, question: str, passages: Sequence[Passage]) -> Quoted:
        """Nothing."""
        return Quoted((), (), False)

    async def reveal(self, workspace: UUID, credential: UUID, host: str | None) -> Mapping[str, str]:
        """None."""
        raise AssertionError("no step here names a credential")


@dataclass
class Stand:
    """A compiled flow of retrievers over a store, the uppermost first in `names`."""

    flow: CompiledFlow
    lent: Lent
    run: Run

    @property
    def top(self) -> OverRetriever:
        """The uppermost retriever."""
        return [step for step in self.flow.steps if isinstance(step, OverRetriever)][-1]

    async def numbers(self, question: str = "Who sleeps?") -> list[str]:
        """What it finds."""
        return [item.id for item in await self.top.retrieve(self.run, question)]


@pytest.fixture
async def stub() -> AsyncIterator[OpenAIStub]:
    with OpenAIStub() as server:
        yield server


Make = Callable[..., Awaitable[Stand]]


@pytest.fixture
async def stand() -> AsyncIterator[Make]:
    """Makes stands, and takes them down."""
    made: list[Stand] = []

    async def make(*names: tuple[str, Mapping[str, Any]], url: str = "http://127.0.0.1:1/v1") -> Stand:
        made.append(await build(*names, url=url))
        return made[-1]

    yield make
    for each in made:
        await each.flow.close()


async def build(*names: tuple[str, Mapping[str, Any]], url: str, k: int = 3) -> Stand:
    """Retrievers over each other, the uppermost first."""
    nodes = [
        node("s", "documentStoreVS", "Vector Stores", {"selectedStore": str(STORE), "topK": k}),
        node("c", "conversationalRetrievalQAChain", "Chains", {"returnSourceDocuments": True}),
        openai(url),
    ]
    edges = [edge("chatOpenAI_0", "c", "model")]
    above, anchor = "c", "vectorStoreRetriever"
    for place, (name, inputs) in enumerate(names):
        nodes.append(node(f"r{place}", name, "Retrievers", inputs))
        edges.append(edge(f"r{place}", above, anchor))
        if name in ("multiQueryRetriever", "RRFRetriever", "llmFilterRetriever", "extractMetadataRetriever"):
            edges.append(edge("chatOpenAI_0", f"r{place}", "model"))
        stored = ("vectorStoreRetriever", "customRetriever", "multiQueryRetriever", "similarityThresholdRetriever")
        above, anchor = f"r{place}", "vectorStore" if name in (*stored, "extractMetadataRetriever") else "baseRetriever"
    edges.append(edge("s", above, anchor))
    compiled, lent = compile_flow(parse(graph(nodes, edges))), Lent()
    backing = Backing(lent.search, lent.quote, lent.reveal, near())
    await compiled.prepare(uuid4(), backing)
    return Stand(compiled, lent, Run(uuid4(), uuid4(), "c", "s", "Who sleeps?", (), backing))


async def test_the_lower_retrievers_stages_stand_nearer_to_the_search(stand: Make) -> None:
    made = await stand(
        ("customRetriever", {"topK": "2"}),
        ("embeddingsFilterRetriever", {"similarityThreshold": -1}),
        ("similarityThresholdRetriever", {"minSimilarityScore": 50}),
    )
    assert await made.numbers() == ["1", "2"]
    assert made.lent.asked == [
        {"question": "Who sleeps?", "k": 2, "where": None, "stages": ["threshold", "embeddingsFilter"]}
    ]


async def test_a_number_is_the_uppermost_ones_else_the_one_belows(stand: Make) -> None:
    assert (await stand(("customRetriever", {}))).top.k == 3
    assert (await stand(("customRetriever", {"topK": 1}))).top.k == 1
    assert (await stand(("vectorStoreRetriever", {}), ("customRetriever", {"topK": 2}))).top.k == 2
    assert (await stand(("similarityThresholdRetriever", {}))).top.k == 20
    made = await stand(("customRetriever", {"topK": 1}))
    assert len(await made.top.find(made.run, Wanted("Who?", k=2))) == 2


async def test_filters_of_several_retrievers_must_all_pass(stub: OpenAIStub, stand: Make) -> None:
    grid = '[{"key": "year", "type": "Number"}]'
    made = await stand(
        ("extractMetadataRetriever", {"dynamicMetadataFilterRetrieverStructuredOutput": grid}), url=stub.url
    )
    stub.script(Script(reply='{"year": 2021}'))
    found = await made.top.find(made.run, Wanted("Dogs of 2021?", where={"year": {"$lt": 2022}}))
    assert [item.id for item in found] == ["2"]
    assert made.lent.asked[0]["where"] == {"$and": [{"year": {"$lt": 2022}}, {"year": 2021}]}


async def test_what_models_took_is_told_by_the_running_flow(stub: OpenAIStub, stand: Make) -> None:
    made = await stand(("llmFilterRetriever", {}), ("multiQueryRetriever", {}), url=stub.url)
    for reply in ("Who naps?", "1", "Cats."):
        stub.script(Script(reply=reply))
    events = [event async for event in made.flow.run(made.run)]
    assert len([event for event in events if isinstance(event, Usage)]) == 3
    assert made.run.spent == []


async def test_the_outputs_document_and_text_answer_the_nodes_own_query(stand: Make) -> None:
    made = await stand(
        ("customRetriever", {"query": "Tell of {{question}}", "resultFormat": "<{{context}}>", "topK": 2})
    )
    assert [item.text for item in await made.top.documents(made.run)] == ["<Cats sleep.>", "<Dogs bark.>"]
    assert await made.top.text(made.run) == "<Cats sleep.>\n<Dogs bark.>\n"
    assert made.lent.asked[0]["question"] == "Tell of Who sleeps?"
    plain = await stand(("customRetriever", {}))
    await plain.top.documents(plain.run)
    assert plain.lent.asked[0]["question"] == "Who sleeps?"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("{{context}}", "A {{metadata.page}} text"),
        ("{{ metadata.page }}/{{metadata.pdf.pages}}", "3/9"),
        ("{{metadata.pdf.author}} {{metadata.none}}", "{{metadata.pdf.author}} {{metadata.none}}"),
        ("{{metadata.a.b}}", "whole name"),
        ("{{other}} {context}", "{{other}} {context}"),
        ("", ""),
    ],
)
def test_forms_are_filled_once(form: str, expected: str) -> None:
    metadata = {"page": 3, "pdf": {"pages": 9}, "a.b": "whole name"}
    assert written(form, Passage("1", "A {{metadata.page}} text", metadata, 0.5)) == expected


GRID = [
    MetadataField(key="topic"),
    MetadataField(key="tags", type="String Array"),
    MetadataField(key="year", type="Number"),
    MetadataField(key="public", type="Boolean"),
    MetadataField(key="state", type="Enum", enum_values="open, closed"),
]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"topic": "leave"}', {"topic": "leave"}),
        ('```json\n{"year": 2020.5, "public": true}\n```', {"$and": [{"year": 2020.5}, {"public": True}]}),
        ('{"tags": ["a", 1, "b"]}', {"tags": {"$in": ["a", "b"]}}),
        ('{"state": "open"}', {"state": "open"}),
        ('{"state": "ajar", "year": "2020", "public": 1, "tags": "a", "topic": ""}', None),
        ('{"year": true, "topic": {"$ne": 1}, "tags": []}', None),
        ('{"year": NaN}', None),
        ('{"year": 1' + "0" * 400 + "}", None),
        ('{"$or": [], "secret": "x"}', None),
        ("I do not know.", None),
        ("{", None),
        ("[1]", None),
        ('{"topic": "' + "x" * (LONGEST_VALUE + 1) + '"}', None),
    ],
)
def test_a_filter_holds_only_what_was_listed(answer: str, expected: object) -> None:
    assert conditions(answer, GRID) == expected


@given(
    st.text()
    | st.dictionaries(
        st.sampled_from([item.key for item in GRID]),
        st.text(st.sampled_from("a\0\ud800")) | st.integers() | st.lists(st.text()),
    ).map(json.dumps)
)
def test_whatever_a_model_writes_the_filter_is_one(answer: str) -> None:
    found = conditions(answer, GRID)
    if found is not None:
        filter_of(found)
