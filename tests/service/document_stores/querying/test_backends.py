"""Stages over vector stores that are no part of the database: vectors, scores and filters mean the same there."""

from pathlib import Path

import httpx
import pytest

from service.settings import Settings, load
from tests.service.document_stores.querying.test_querying import ask, filled, heads, try_random_stages
from tests.service.document_stores.talk import Talk
from tests.stores.vector.servers import chroma_server  # noqa: F401  # fixture

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(params=["chroma://{chroma}", "qdrant://{folder}"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Settings:
    """As in the other tests here, with another vector store."""
    server = request.getfixturevalue("chroma_server") if "{chroma}" in request.param else ""
    url = request.param.format(folder=tmp_path / "vectors", chroma=server)
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "vector_store": url})


async def test_random_stages_hold_to_their_bounds(talk: Talk, client: httpx.AsyncClient, seed: int) -> None:
    await try_random_stages(talk, client, seed, 15)


async def test_a_threshold_and_a_picked_order_mean_what_they_mean_elsewhere(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    store = await filled(talk)
    text = (await talk.texts(store))[0]
    same = await ask(client, store, text, retrieval=[{"name": "similarity"}, {"name": "threshold", "minScore": 0.999}])
    assert heads(same) == [text.split()[0]]
    assert same["docs"][0]["similarity"] == pytest.approx(1, abs=1e-3)
    everything = await ask(client, store, text, topK=12, retrieval=[{"name": "similarity"}])
    picked = await ask(client, store, text, topK=12, retrieval=[{"name": "similarity"}, {"name": "mmr", "lambda": 1}])
    assert heads(picked) == heads(everything)
    apart = await ask(client, store, text, topK=2, retrieval=[{"name": "similarity"}, {"name": "mmr", "lambda": 0}])
    assert heads(apart)[0] == heads(everything)[0]
