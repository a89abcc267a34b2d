"""What every reranker of the table must do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.providers.defaults import Defaults
from service.providers.errors import RequestRefused, UnknownProvider
from service.providers.rerank import NODES, RERANKERS, create_reranker
from service.providers.rerank.base import LEAST, MAX_QUERY, MAX_TEXT, Reranker
from tests.stubs.openai_server import near
from tests.stubs.rerank_server import KEY, PATHS, RerankStub
from tests.stubs.tiny_models import write_cross_encoder

QUESTION = "How many days of leave"
TEXTS = [
    "Leave is 30 days a year.",
    "The office opens at eight.",
    "How many days of leave are there? As many as in the days of old.",
    "Grüße aus Köln, 年假多少天, 🦈",
    "leave",
]

FIELDS = {"cohere": "cohereApiKey", "jina": "jinaAIAPIKey", "voyage": "apiKey", "azure": "azureFoundryApiKey"}


@pytest.fixture(scope="module")
def stub() -> Iterator[RerankStub]:
    with RerankStub() as server:
        yield server


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder built here."""
    return write_cross_encoder(tmp_path_factory.mktemp("model"))


@pytest.fixture(params=sorted(RERANKERS))
async def reranker(request: pytest.FixtureRequest, stub: RerankStub) -> AsyncIterator[Reranker]:
    """The reranker under test; batches are small, so that every suite sees several."""
    stub.reset()
    name, defaults = request.param, near()
    if name == "sentence_transformers":
        folder = request.getfixturevalue("model_folder")
        made = create_reranker(name, {"batchSize": "3"}, defaults=Defaults(rerank_model_path=folder))
    elif name in PATHS:
        credential = {FIELDS[name]: KEY, "azureFoundryEndpoint": stub.url}
        made = create_reranker(name, {"basePath": stub.base(name)}, credential, defaults=defaults)
    else:
        made = create_reranker(name)
    made.batch_size = 3
    yield made
    await made.aclose()
    await defaults.egress.close()


async def test_one_score_a_text_in_the_order_of_the_texts(reranker: Reranker) -> None:
    scores = await reranker.rank(QUESTION, TEXTS)
    assert len(scores) == len(TEXTS)
    assert all(-1 <= score <= 1 for score in scores)
    backwards = await reranker.rank(QUESTION, TEXTS[::-1])
    assert backwards[::-1] == pytest.approx(scores, abs=1e-5)
    assert len(set(scores)) > 1


async def test_texts_are_judged_one_by_one(reranker: Reranker) -> None:
    together = await reranker.rank(QUESTION, TEXTS)
    alone = [(await reranker.rank(QUESTION, [text]))[0] for text in TEXTS]
    assert alone == pytest.approx(together, abs=1e-5)


async def test_the_question_counts(reranker: Reranker) -> None:
    assert await reranker.rank(QUESTION, TEXTS) != await reranker.rank("The office opens", TEXTS)


async def test_no_texts_give_no_scores_and_nobody_is_asked(reranker: Reranker, stub: RerankStub) -> None:
    assert await reranker.rank(QUESTION, []) == []
    assert await reranker.rank("", []) == []
    assert stub.requests == []


async def test_equal_texts_have_equal_scores_and_are_sent_once(reranker: Reranker, stub: RerankStub) -> None:
    scores = await reranker.rank(QUESTION, [TEXTS[0], TEXTS[1], TEXTS[0]])
    assert scores[0] == scores[2]
    assert all(len(request.body["documents"]) == 2 for request in stub.requests)


async def test_a_text_that_says_nothing_comes_last(reranker: Reranker) -> None:
    scores = await reranker.rank(QUESTION, ["", TEXTS[0], " \n\t"])
    assert scores[0] == scores[2] == LEAST
    assert scores[1] > LEAST
    assert await reranker.rank(QUESTION, [" "]) == [LEAST]


async def test_without_a_question_nothing_is_ranked(reranker: Reranker) -> None:
    with pytest.raises(RequestRefused, match="no question"):
        await reranker.rank(" ", TEXTS)


async def test_long_texts_and_questions_are_cut(reranker: Reranker, stub: RerankStub) -> None:
    long = "leave is long " * (2 * MAX_TEXT // 14 + 1)
    scores = await reranker.rank(QUESTION + long, [long, TEXTS[0]])
    assert all(-1 <= score <= 1 for score in scores)
    for request in stub.requests:
        assert max(map(len, request.body["documents"])) == MAX_TEXT
        assert len(request.body["query"]) == MAX_QUERY


async def test_many_texts_go_in_batches(reranker: Reranker, stub: RerankStub) -> None:
    texts = [f"{text} {number}" for number in range(2) for text in TEXTS]
    assert len(await reranker.rank(QUESTION, texts)) == len(texts)
    assert all(len(request.body["documents"]) <= 3 for request in stub.requests)


async def test_concurrent_calls_do_not_mix(reranker: Reranker) -> None:
    expected = await reranker.rank(QUESTION, TEXTS)
    answers = await asyncio.gather(*(reranker.rank(QUESTION, [text]) for text in TEXTS * 2))
    assert [answer[0] for answer in answers] == pytest.approx(expected * 2, abs=1e-5)


async def test_a_cancelled_call_leaves_the_reranker_usable(reranker: Reranker) -> None:
    task = asyncio.ensure_future(reranker.rank(QUESTION, TEXTS))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await reranker.rank(QUESTION, TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("name", sorted(NODES))
def test_every_flowise_name_stands_for_a_row(name: str) -> None:
    assert NODES[name] in RERANKERS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownProvider, match=r"nobody.*sentence_transformers.*cohereRerankRetriever"):
        create_reranker("nobody")
