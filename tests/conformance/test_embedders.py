"""What every embedder of the table must do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests

from service.providers.embedding import EMBEDDERS, NODES, create_embedder
from service.providers.embedding.base import Embedder, Fingerprint, TextKind
from service.providers.errors import RequestRefused, UnknownProvider
from tests.stubs.model_servers import ModelStub
from tests.stubs.models import EMBEDDED_AT, embedder_at
from tests.stubs.tiny_models import write_sentence_transformer

TEXTS = [
    "The battery lasts five years.",
    "Two words",
    "",
    "Grüße aus Köln, 年假多少天, 🦈",
    "A much longer text that stands beside the short ones, so that a batch has to be padded. " * 12,
    "Two words",
    "\n\tspaces  and\nlines ",
]


@pytest.fixture(scope="module")
def stub() -> Iterator[ModelStub]:
    with ModelStub(dimension=12) as server:
        yield server


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers model built here."""
    return write_sentence_transformer(tmp_path_factory.mktemp("model"))


def make(name: str, stub: ModelStub, request: pytest.FixtureRequest) -> Embedder:
    if name == "sentence_transformers":
        return create_embedder(name, {"modelName": str(request.getfixturevalue("model_folder"))})
    if name in EMBEDDED_AT:
        return embedder_at(name, stub)
    return create_embedder(name)


@pytest.fixture(params=sorted(EMBEDDERS))
async def embedder(request: pytest.FixtureRequest, stub: ModelStub) -> AsyncIterator[Embedder]:
    made = make(request.param, stub, request)
    yield made
    await made.aclose()


async def test_one_finite_vector_a_text_in_order(embedder: Embedder) -> None:
    vectors = await embedder.embed_array(TEXTS)
    fingerprint = await embedder.fingerprint()
    assert vectors.shape == (len(TEXTS), fingerprint.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.allclose(vectors[1], vectors[5], atol=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        alone = (await embedder.embed_array([text]))[0]
        assert np.allclose(alone, vector, atol=1e-4)


async def test_unit_length_is_declared_truly(embedder: Embedder) -> None:
    if (await embedder.fingerprint()).normalised:
        assert np.allclose(np.linalg.norm(await embedder.embed_array(TEXTS), axis=1), 1.0, atol=1e-4)


async def test_lists_and_arrays_blocking_and_not_agree(embedder: Embedder) -> None:
    array = await embedder.embed_array(TEXTS)
    assert np.allclose(await embedder.aembed_documents(TEXTS), array, atol=1e-4)
    assert np.allclose(await asyncio.to_thread(embedder.embed_documents, TEXTS), array, atol=1e-4)
    query = await embedder.embed_query_array("How long does it last?")
    assert np.allclose(await embedder.aembed_query("How long does it last?"), query, atol=1e-4)
    assert np.allclose(await asyncio.to_thread(embedder.embed_query, "How long does it last?"), query, atol=1e-4)


async def test_queries_and_documents_share_a_space(embedder: Embedder) -> None:
    document = (await embedder.embed_array([TEXTS[0]], TextKind.DOCUMENT))[0]
    query = (await embedder.embed_array([TEXTS[0]], TextKind.QUERY))[0]
    assert document.shape == query.shape
    assert float(document @ query) > 0.5


async def test_concurrent_calls_do_not_mix(embedder: Embedder) -> None:
    expected = await embedder.embed_array(TEXTS, TextKind.QUERY)
    answers = await asyncio.gather(*(embedder.embed_query_array(text) for text in TEXTS * 3))
    assert np.allclose(np.stack(answers), np.concatenate([expected] * 3), atol=1e-4)


async def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert (await embedder.embed_array([])).shape[0] == 0
    assert await embedder.aembed_documents([]) == []


async def test_the_fingerprint_is_stable_and_survives_json(embedder: Embedder, stub: ModelStub) -> None:
    fingerprint = await embedder.fingerprint()
    assert Fingerprint.from_json(fingerprint.as_json()) == fingerprint
    assert await embedder.fingerprint() == fingerprint
    assert embedder.dimension == fingerprint.dimension


async def test_a_cancelled_call_leaves_the_embedder_usable(embedder: Embedder) -> None:
    task = asyncio.ensure_future(embedder.embed_array(TEXTS * 20))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await embedder.embed_array(TEXTS)).shape[0] == len(TEXTS)


@pytest.mark.parametrize("name", sorted(NODES))
def test_every_flowise_name_stands_for_a_row(name: str) -> None:
    assert NODES[name] in EMBEDDERS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownProvider, match=r"bedrockEmbeddings.*local.*openAIEmbeddings"):
        create_embedder("bedrockEmbeddings")


def test_a_bad_field_is_named() -> None:
    with pytest.raises(RequestRefused, match="dimensions"):
        create_embedder("openAIEmbeddings", {"dimensions": "many"})


class TestLangChainSuite(EmbeddingsIntegrationTests):
    """LangChain's own suite over every row."""

    @pytest.fixture(params=sorted(EMBEDDERS))
    async def model(self, request: pytest.FixtureRequest, stub: ModelStub) -> AsyncIterator[Embedder]:
        """The embedder under test."""
        made = make(request.param, stub, request)
        yield made
        await made.aclose()

    @property
    def embeddings_class(self) -> type[Embeddings]:
        """Unused: the fixture makes the models."""
        return Embedder
