"""The threshold stage."""

import pytest

from service.errors import Unprocessable
from service.retrieval.pipeline import pipeline
from service.retrieval.threshold import Threshold, ThresholdOptions
from service.retrieval.trace import StageTrace
from tests.service.retrieval.library import Library, chunk, found


async def test_what_is_below_the_score_or_the_cosine_is_left_out_with_the_reason() -> None:
    hits = [found(chunk(1), 0.8, cosine=0.1), found(chunk(2), 0.5, cosine=0.6), found(chunk(3), 0.2, cosine=0.9)]
    notes = StageTrace("threshold")
    stage = Threshold(ThresholdOptions(min_score=0.3, min_cosine=0.5))
    kept = await stage.refine(hits, 4, await Library().call(notes=notes))
    assert [item.number for item in kept] == [2]
    assert notes.reasons == {1: "cosine below 0.5", 3: "score below 0.3"}


async def test_the_threshold_itself_is_enough() -> None:
    hits = [found(chunk(1), 0.3), found(chunk(2), 0.29)]
    kept = await Threshold(ThresholdOptions(min_score=0.3)).refine(hits, 4, await Library().call())
    assert [item.number for item in kept] == [1]


async def test_a_chunk_without_a_cosine_is_nearer_to_nothing() -> None:
    stage = Threshold(ThresholdOptions(min_cosine=-0.5))
    assert await stage.refine([found(chunk(1), 0.9)], 4, await Library().call()) == []


def test_more_is_looked_at_only_where_the_order_is_not_that_of_the_threshold() -> None:
    assert Threshold(ThresholdOptions(min_score=0)).wanted(5) == 5
    assert Threshold(ThresholdOptions(min_cosine=0)).wanted(5) == 20


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, "minScore, minCosine"), ({"minScore": 2}, r"\[0\].minScore"), ({"minScore": "x"}, r"\[0\].minScore")],
)
def test_a_threshold_must_be_one(options: dict[str, object], told: str) -> None:
    with pytest.raises(Unprocessable, match=told):
        pipeline([{"name": "threshold", **options}])
