"""Pipelines: how they are read, how stages work together, and that a trace says what happened."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Unprocessable
from service.plugins import UnknownName
from service.retrieval import STAGES
from service.retrieval.base import (
    Ask,
    Call,
    Found,
    Hit,
    HitStage,
    Message,
    Query,
    Question,
    QuestionStage,
    Rerank,
    SearchStage,
)
from service.retrieval.hybrid import Hybrid
from service.retrieval.pipeline import MAX_STAGES, Pipeline, merged, of_strategy, pipeline
from service.retrieval.similarity import Similarity
from service.retrieval.threshold import Threshold, ThresholdOptions
from service.retrieval.trace import Trace
from stores.vector.base import Vector
from stores.vector.filters import matches, parse
from tests.service.retrieval.library import Library, chunk


def test_nothing_said_means_hybrid_and_a_list_without_a_search_gets_one() -> None:
    assert pipeline().names == pipeline([]).names == ("hybrid",)
    assert pipeline([{"name": "mmr"}, {"name": "neighbours"}]).names == ("hybrid", "mmr", "neighbours")
    assert of_strategy("similarity").names == ("similarity",)
    assert of_strategy("mmr").names == ("hybrid", "mmr")
    with pytest.raises(UnknownName, match=r"Known: .*hybrid"):
        of_strategy("astrology")


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ({"name": "hybrid"}, "retrieval: must be a list"),
        (["hybrid"], r"retrieval\[0\]: must be an object"),
        ([{"name": "hybrid"}, {"weight": 1}], r"retrieval\[1\]: must be an object"),
        ([{"name": "astrology"}], r"retrieval\[0\].name: .*hybrid"),
        ([{"name": "hybrid", "weight": -1}], r"retrieval\[0\].weight: "),
        ([{"name": "hybrid", "weigth": 1}], r"retrieval\[0\].weigth: there is no such option; known are weight"),
        ([{"name": "mmr"}, {"name": "mmr", "lambda": 2}], r"retrieval\[1\].lambda: "),
        ([{"name": "mmr", "fetchK": 0, "lambda": "x"}], r"lambda: .*; .*fetchK: "),
        ([{"name": "mmr"}, {"name": "hybrid"}], r"retrieval\[1\]: 'hybrid' cannot stand here"),
        ([{"name": "hybrid"}, {"name": "similarity"}], r"retrieval\[1\]: 'similarity' cannot stand here"),
        ([{"name": "hybrid"}, {"name": "hyde"}], r"retrieval\[1\]: 'hyde' cannot stand here"),
        ([{"name": "mmr"}] * (MAX_STAGES + 1), f"at most {MAX_STAGES} stages"),
        ([{"name": "multiQuery", "count": 8}] * 2, r"retrieval\[1\]: makes 17 questions of one; 16 at most"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(stages: object, told: str) -> None:
    with pytest.raises(Unprocessable, match=told):
        pipeline(stages)


def test_stages_laid_over_a_pipeline_stand_where_they_belong() -> None:
    kept = pipeline([{"name": "hybrid"}, {"name": "mmr"}])
    more = [Threshold(ThresholdOptions(min_score=0)), Similarity(), _Variants()]
    assert kept.plus(more).names == ("variants", "similarity", "mmr", "threshold")
    assert kept.names == ("hybrid", "mmr"), "the first is as it was"


def test_several_lists_become_one_by_the_best_score_of_a_chunk() -> None:
    first = [Hit(1, 0.9), Hit(2, 0.5), Hit(3, 0.4)]
    second = [Hit(2, 0.7), Hit(4, 0.5), Hit(3, 0.5)]
    assert [(hit.number, hit.score) for hit in merged([first, second])] == [
        (1, 0.9),
        (2, 0.7),
        (3, 0.5),  # as good as 4, and found by both
        (4, 0.5),
    ]
    assert merged([first]) == first


LISTS = st.lists(
    st.dictionaries(st.integers(1, 12), st.sampled_from([-1.0, -0.2, 0.0, 0.3, 0.5, 1.0]), max_size=10), max_size=4
)


@given(LISTS)
def test_merging_keeps_every_chunk_once_with_its_best_score_in_order(found: list[dict[int, float]]) -> None:
    lists = [
        [Hit(number, score) for number, score in sorted(scores.items(), key=lambda item: -item[1])] for scores in found
    ]
    hits = merged(lists)
    assert {hit.number: hit.score for hit in hits} == {
        number: max(scores[number] for scores in found if number in scores) for number in {n for s in found for n in s}
    }
    assert len(hits) == len({hit.number for hit in hits})
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert merged(lists[::-1]) == hits or len(lists) > 1, "one list stays as it is"


class _Variants(QuestionStage):
    """The question and two others, without a model."""

    name = "variants"

    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        return [*asked, *(Question(f"{item.text} {more}") for item in asked for more in ("one", "two"))]

    def most(self, count: int) -> int:
        return 3 * count


class _Together(SearchStage):
    """Finds what its table says, once all three searches are under way."""

    name = "together"

    def __init__(self, table: dict[str, list[Hit]]) -> None:
        super().__init__()
        self.table = table
        self.barrier = asyncio.Barrier(len(table))

    async def search(self, question: Question, limit: int, call: Call) -> list[Hit]:
        async with asyncio.timeout(30):
            await self.barrier.wait()
        return self.table[question.text]


async def test_several_questions_are_searched_for_at_once() -> None:
    library = Library.of(*(chunk(number) for number in range(1, 6)))
    search = _Together({"a": [Hit(1, 0.4)], "a one": [Hit(2, 0.6), Hit(1, 0.5)], "a two": [Hit(3, 0.1)]})
    trace = Trace()
    found = await Pipeline((_Variants(),), search, ()).run(Query("a", 5), await library.sources(), trace)
    assert [(item.number, item.score) for item in found] == [(2, 0.6), (1, 0.5), (3, 0.1)]
    assert [stage.questions for stage in trace.stages] == [["a", "a one", "a two"]] * 2 + [[]]


async def test_the_error_of_one_search_comes_through_as_it_is() -> None:
    library = Library.of(chunk(1), vectors={1: [1.0, 0.0]})

    def fail(text: str) -> Vector:
        raise Unprocessable("no embedder") if "two" in text else Unprocessable("no embedder either")

    library.embed_as = fail
    with pytest.raises(Unprocessable, match="no embedder"):
        await Pipeline((_Variants(),), Hybrid(), ()).run(Query("a"), await library.sources())


async def test_passages_like_an_answer_move_the_vector_and_leave_the_words() -> None:
    library = Library.of(chunk(1, "alpha"), chunk(2, "beta"), vectors={1: [1.0, 0.0], 2: [0.0, 1.0]})
    library.embed_as = lambda text: {"q": [2.0, 0.0], "p": [0.0, 5.0]}[text]
    sources = await library.sources()
    vector = np.asarray(await sources.vector_of(Question("q", ("p",))))
    assert vector == pytest.approx([0.5**0.5, 0.5**0.5]), "the mean of unit vectors, of unit length"
    hits = await Similarity().search(Question("q", ("p", "p", "p")), 2, Call(Query("q"), sources))
    assert [hit.number for hit in hits] == [2, 1]


class _Swap(QuestionStage):
    """Another question in place of the first."""

    name = "swap"

    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        return [Question("beta")]


class _Judge(HitStage):
    """Keeps chunks that hold the question as it is by then."""

    name = "judge"

    def wanted(self, limit: int) -> int:
        return 3 * limit

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        return [item for item in found if call.query.text in item.text]


async def test_hit_stages_judge_by_the_question_that_the_question_stages_left() -> None:
    library = Library.of(
        chunk(1, "alpha"), chunk(2, "beta"), chunk(3, "beta too"), vectors={1: [1, 0], 2: [0, 1], 3: [1, 1]}
    )
    found = await Pipeline((_Swap(),), Hybrid(), (_Judge(),)).run(Query("alpha", 1), await library.sources())
    assert [item.text for item in found] == ["beta"]


async def test_more_is_searched_for_while_the_best_are_not_live() -> None:
    rows = [chunk(number) for number in range(1, 60)]
    library = Library.of(*rows, vectors={number: [1.0, number / 100] for number in range(1, 60)})
    library.embed_as = lambda text: [1.0, 0.0]
    library.hidden = set(range(1, 40))
    trace = Trace()
    found = await of_strategy("similarity").run(Query("x", 2), await library.sources(), trace)
    assert [item.number for item in found] == [40, 41]
    assert [stage.name for stage in trace.stages] == ["similarity", "ledger", "similarity", "ledger"]
    assert [len(stage.candidates) for stage in trace.stages] == [6, 0, 59, 2]
    reasons = {cut.number: cut.reason for cut in trace.stages[-1].left_out}
    assert reasons[39].startswith("not live")
    assert reasons[42] == "beyond the 2 that were wanted"
    assert 39 not in trace.chunks, "an explanation does not show what may not be shown"


async def test_a_long_document_on_its_way_hides_nothing() -> None:
    rows = [chunk(number) for number in range(1, 1000)]
    library = Library.of(*rows, vectors={row.position: [1.0, row.position / 1000] for row in rows})
    library.embed_as = lambda text: [1.0, 0.0]
    library.hidden = set(range(1, 900))
    found = await of_strategy("similarity").run(Query("x", 2), await library.sources())
    assert [item.number for item in found] == [900, 901]


class _Models:
    """No chat model."""

    @property
    def ask(self) -> Ask | None:
        return None

    async def reranker(self, name: str, config: Any) -> Rerank:
        raise AssertionError


class _Asks(QuestionStage):
    """Needs a model."""

    name = "asks"

    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        return [Question(await self.ask_of(call)([Message("user", asked[0].text)]))]


@pytest.mark.parametrize("models", [None, _Models()])
async def test_a_stage_that_needs_a_model_says_how_to_get_one(models: _Models | None) -> None:
    sources = await Library.of(chunk(1), vectors={1: [1.0, 0.0]}).sources(models)
    with pytest.raises(Unprocessable, match=r"'asks' needs a chat model.*RAGSTONE_CHAT_MODEL"):
        await Pipeline((_Asks(),), Similarity(), ()).run(Query("x"), sources)


async def test_a_limit_of_nothing_asks_nobody() -> None:
    library = Library.of(chunk(1), vectors={1: [1.0, 0.0]})
    assert await pipeline().run(Query("x", 0), await library.sources()) == []
    assert library.asked == []


# Random pipelines over random document stores.

SEARCHES = st.sampled_from([{"name": "similarity"}, {"name": "hybrid"}, {"name": "hybrid", "weight": 3}])
HIT_STAGES = st.one_of(
    st.builds(lambda score: {"name": "threshold", "minScore": score}, st.floats(-1, 1)),
    st.builds(lambda score: {"name": "threshold", "minCosine": score}, st.floats(-1, 1)),
    st.builds(lambda b, k: {"name": "mmr", "lambda": b, "fetchK": k}, st.floats(0, 1), st.integers(1, 30)),
    st.builds(
        lambda before, after, mode: {"name": "neighbours", "before": before, "after": after, "mode": mode},
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from(["merge", "beside"]),
    ),
    st.builds(
        lambda of, size: {"name": "parents", "of": of, "maxCharacters": size},
        st.sampled_from(["section", "document"]),
        st.integers(100, 400),
    ),
)
ONE_SCALE = {"similarity", "hybrid", "threshold", "ledger"}
"""After these alone, the answer is in the order of its scores."""


@st.composite
def libraries(draw: st.DrawFn) -> Library:
    """Some documents of some chunks, a third of them not live."""
    rows, number = [], 0
    for document in range(draw(st.integers(1, 3))):
        for position in range(draw(st.integers(1, 8))):
            number += 1
            text = " ".join(draw(st.lists(st.sampled_from(["alpha", "beta", "gamma"]), min_size=1, max_size=4)))
            page, heading = position // 3, f"H{position // 2}"
            shown = f"<{number}> {text}"
            rows.append(chunk(number, shown, document=document, position=position, page=page, heading=heading))
    seed = draw(st.integers(0, 1000))
    vectors = {row.number: vector for row, vector in zip(rows, _vectors(seed, len(rows)), strict=True) if row.number}
    hidden = set(draw(st.lists(st.integers(1, number), max_size=number // 3)))
    return Library({n + 1: row for n, row in enumerate(rows)}, vectors, hidden)


def _vectors(seed: int, count: int) -> list[Vector]:
    return list(np.random.default_rng(seed).normal(size=(count, 3)))


@settings(max_examples=150, deadline=None)
@given(
    library=libraries(),
    search=SEARCHES,
    after=st.lists(HIT_STAGES, max_size=4),
    variants=st.booleans(),
    limit=st.integers(1, 8),
    where=st.sampled_from([None, {"page": 0}, {"page": {"$gte": 1}}, {"heading": {"$in": ["H0", "H2"]}}]),
)
async def test_whatever_the_stages_the_answer_is_in_bounds_and_the_trace_says_what_happened(
    library: Library, search: dict[str, Any], after: list[dict[str, Any]], variants: bool, limit: int, where: Any
) -> None:
    stages = pipeline([search, *after])
    stages = stages.plus([_Variants()]) if variants else stages
    sources, filtered = await library.sources(), None if where is None else parse(where)
    query, trace = Query("alpha beta", limit, filtered), Trace()
    found = await stages.run(query, sources, trace)

    assert len(found) <= limit
    assert len({item.number for item in found}) == len(found)
    for item in found:
        for shown in _shown(item):
            assert shown not in library.hidden
            assert filtered is None or matches(filtered, library.rows[shown].metadata)
        assert -1.000001 <= item.score <= 1.000001
        assert item.chunk.id == UUID(int=item.number)
    if {stage["name"] for stage in after} <= ONE_SCALE:
        assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)

    _check_trace(stages, trace, found, library)
    again = await stages.run(query, sources)
    assert [(item.number, item.score, item.text) for item in again] == [
        (item.number, item.score, item.text) for item in found
    ], "being explained changes nothing"


def _shown(item: Found) -> list[int]:
    """The numbers of the chunks whose text is shown."""
    return [int(part.split(">")[0]) for part in item.text.split("<")[1:]]


def _check_trace(stages: Pipeline, trace: Trace, found: list[Found], library: Library) -> None:
    names = [stage.name for stage in trace.stages]
    asking, hits = [stage.name for stage in stages.before], [stage.name for stage in stages.after]
    rounds = (len(names) - len(asking) - len(hits)) // 2
    assert rounds in (1, 2)
    assert names == [*asking, *([stages.search.name, "ledger"] * rounds), *hits]
    assert [item.number for item in trace.stages[-1].candidates] == [item.number for item in found]
    assert [item.score for item in trace.stages[-1].candidates] == [item.score for item in found]
    for before, stage in zip(trace.stages, trace.stages[1:], strict=False):
        if stage.name in (*hits, "ledger"):
            kept = {item.number for item in stage.candidates}
            cut = {item.number for item in stage.left_out}
            given = {item.number for item in before.candidates}
            assert kept.isdisjoint(cut)
            assert given <= kept | cut, "what goes in comes out, or it is said why not"
            assert all(item.reason for item in stage.left_out)
    assert library.hidden.isdisjoint(trace.chunks)
    assert all(stage.milliseconds >= 0 for stage in trace.stages)


def test_every_stage_describes_itself_and_its_options() -> None:
    for name, target in STAGES.items():
        stage = pytest.importorskip(target.split(":")[0]).__dict__[target.split(":")[1]]
        assert stage.name == name
        assert stage.__doc__
        assert all(item.description for item in stage.Options.model_fields.values()), name
