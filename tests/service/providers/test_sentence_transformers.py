"""The sentence-transformers adapter over a model built here: prompts, prints, and refusals that say what to do."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from service.providers.embedding import create_embedder
from service.providers.embedding.base import Embedder, TextKind
from service.providers.errors import RequestRefused
from tests.stubs.tiny_models import write_sentence_transformer

pytestmark = pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="the extra torch is not installed")

E5 = {"query": "query: ", "passage": "passage: "}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sentence_transformer(tmp_path_factory.mktemp("plain"))


def embedder(folder: Path | str, **config: object) -> Embedder:
    return create_embedder("sentence_transformers", {"modelName": str(folder)} | config)


async def test_prompts_of_the_model_stand_before_questions_and_documents(folder: Path, tmp_path: Path) -> None:
    plain, prompted = embedder(folder), embedder(write_sentence_transformer(tmp_path, prompts=E5))
    question, document = (await plain.embed_array(["query: five years", "passage: five years"]))[:]
    assert np.allclose(await prompted.embed_query_array("five years"), question, atol=1e-5)
    assert np.allclose((await prompted.embed_array(["five years"]))[0], document, atol=1e-5)
    assert not np.allclose(question, document, atol=1e-3)
    fingerprint = await prompted.fingerprint()
    assert (fingerprint.query_prefix, fingerprint.document_prefix) == ("query: ", "passage: ")


async def test_without_prompts_questions_and_documents_are_alike(folder: Path) -> None:
    plain = embedder(folder)
    document = (await plain.embed_array(["five years"], TextKind.DOCUMENT))[0]
    assert np.allclose(await plain.embed_query_array("five years"), document, atol=1e-6)


async def test_a_batch_in_any_size_gives_the_same_vectors(folder: Path) -> None:
    texts = [f"sentence {number} " * (1 + number % 4) for number in range(20)]
    assert np.allclose(
        await embedder(folder, batchSize="1").embed_array(texts), await embedder(folder).embed_array(texts), atol=1e-5
    )


async def test_the_fingerprint_changes_with_the_weights(folder: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    known = (await embedder(folder).fingerprint()).revision
    assert (await embedder(write_sentence_transformer(same)).fingerprint()).revision == known
    assert (await embedder(write_sentence_transformer(other, seed=8)).fingerprint()).revision != known


@pytest.mark.parametrize("name", ["/no/such/folder", "./absent", "a/b/c"])
async def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(RequestRefused, match=f"no model folder {name}"):
        await embedder(name).open()


async def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="is not a model that sentence-transformers can load"):
        await embedder(tmp_path).open()


@pytest.mark.parametrize("name", ["intfloat/e5-small-v2", "no-such-model"])
async def test_nothing_is_downloaded_and_the_command_that_does_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RequestRefused, match=f"hf download .*{name}"):
        await embedder(name).open()


async def test_it_runs_on_the_processor_unless_told_otherwise(folder: Path) -> None:
    for config in ({}, {"device": "cpu"}):
        made = embedder(folder, **config)
        await made.open()
        assert made._model.device.type == "cpu"  # type: ignore[attr-defined]


@pytest.mark.parametrize("device", ["warp", "cuda:99"])
async def test_a_device_that_is_not_there_is_named(folder: Path, device: str) -> None:
    with pytest.raises(RequestRefused, match=f"does not run on '{device}'"):
        await embedder(folder, device=device).open()
