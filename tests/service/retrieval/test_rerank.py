"""The rerank stage: how many it looks at, whose scores count, what becomes of a reranker that fails."""

import pytest

from service.errors import Unprocessable
from service.providers.errors import RateLimited
from service.retrieval.base import Call, Found, Query
from service.retrieval.pipeline import pipeline
from service.retrieval.rerank import MOST, RerankOptions, RerankStage
from service.retrieval.trace import StageTrace, Trace
from tests.service.retrieval.library import Library, chunk, found
from tests.service.retrieval.models import Scripted

HITS = [found(chunk(1, "Cats sleep."), 0.9), found(chunk(2, "Dogs bark."), 0.8), found(chunk(3, "Birds sing."), 0.7)]
SCORES = {"Birds": 0.99, "Dogs": 0.5, "Cats": 0.1}


async def reranked(stage: RerankStage, models: Scripted, hits: list[Found] = HITS) -> tuple[list[Found], StageTrace]:
    notes = StageTrace(stage.name)
    return await stage.refine(hits, 3, Call(Query("Who sings?"), await Library().sources(models), notes)), notes


async def test_the_order_and_the_scores_are_the_rerankers() -> None:
    models = Scripted(scores=SCORES)
    kept, notes = await reranked(RerankStage(), models)
    assert [(item.number, item.score) for item in kept] == [(3, 0.99), (2, 0.5), (1, 0.1)]
    assert kept[0].parts == {"rerank": 0.99, "before": 0.7}
    assert models.ranked == [("Who sings?", ["Cats sleep.", "Dogs bark.", "Birds sing."])]
    assert models.named == [("sentence_transformers", {})]
    assert notes.facts["provider"] == "sentence_transformers"


async def test_equal_scores_keep_the_order_of_before() -> None:
    kept, _ = await reranked(RerankStage(), Scripted(scores={}))
    assert [item.number for item in kept] == [1, 2, 3]


async def test_what_is_scored_too_low_is_left_out() -> None:
    kept, notes = await reranked(RerankStage(RerankOptions(min_score=0.4)), Scripted(scores=SCORES))
    assert [item.number for item in kept] == [3, 2]
    assert notes.reasons == {1: "the reranker's score is below 0.4"}


async def test_a_failing_reranker_fails_the_query_unless_it_is_optional() -> None:
    models = Scripted(scores=RateLimited("slow down", retry_after=9))
    with pytest.raises(RateLimited) as caught:
        await reranked(RerankStage(), models)
    assert caught.value.retry_after == 9
    kept, notes = await reranked(RerankStage(RerankOptions(optional=True)), models)
    assert kept == HITS
    assert notes.facts["failed"] == "slow down"


async def test_nothing_found_is_not_ranked() -> None:
    models = Scripted(scores=SCORES)
    assert await reranked(RerankStage(), models, []) == ([], StageTrace("rerank"))
    assert models.named == []


def test_more_are_looked_at_than_are_wanted() -> None:
    assert RerankStage().wanted(2) == 20
    assert RerankStage().wanted(10) == 50
    assert RerankStage().wanted(100) == MOST
    assert RerankStage().wanted(300) == 300
    assert RerankStage(RerankOptions(candidates=7)).wanted(3) == 7
    assert RerankStage(RerankOptions(candidates=7)).wanted(9) == 9


async def test_only_so_many_are_sent_however_many_were_found() -> None:
    models = Scripted(scores=SCORES)
    hits = [found(chunk(number), 0.5) for number in range(1, MOST + 20)]
    kept, notes = await reranked(RerankStage(), models, hits)
    assert len(models.ranked[0][1]) == len(kept) == MOST
    assert len(notes.reasons) == 19


async def test_in_a_pipeline_it_has_the_last_word_and_the_trace_says_what_was_before() -> None:
    rows = [chunk(1, "Cats sleep. sing"), chunk(2, "Dogs bark. sing"), chunk(3, "Birds sing.")]
    library = Library.of(*rows, vectors={1: [1.0, 0.0], 2: [1.0, 0.1], 3: [0.0, 1.0]})
    stages = pipeline(
        [
            {"name": "similarity"},
            {"name": "rerank", "provider": "jina", "model": "m", "basePath": "http://r.example/v1"},
        ]
    )
    models, trace = Scripted(scores=SCORES), Trace()
    kept = await stages.run(Query("sing", 1), await library.sources(models), trace)
    assert [item.number for item in kept] == [3]
    assert models.named == [("jina", {"provider": "jina", "model": "m", "basePath": "http://r.example/v1"})]
    assert trace.stages[-1].name == "rerank"
    assert {cut.number for cut in trace.stages[-1].left_out} == {1, 2}


@pytest.mark.parametrize(
    "options", [{"candidates": 0}, {"candidates": 201}, {"minScore": 2}, {"credential": "mine"}, {"topN": 3}]
)
def test_bad_options_name_their_field(options: dict[str, object]) -> None:
    with pytest.raises(Unprocessable, match=rf"retrieval\[0\].{next(iter(options))}"):
        pipeline([{"name": "rerank", **options}])
