"""The local reranker over a cross-encoder built here: whose folders are opened, and refusals that say what to do."""

import asyncio
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.providers.defaults import Defaults
from service.providers.errors import MissingLibrary, RequestRefused
from service.providers.rerank import create_reranker
from service.providers.rerank.base import Reranker
from service.providers.rerank.sentence_transformers import SETTING
from tests.stubs.tiny_models import write_cross_encoder, write_sentence_transformer

LOCAL = "sentence_transformers"
with_torch = pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="the extra torch is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cross_encoder(tmp_path_factory.mktemp("plain"))


def reranker(folder: Path | None, **config: object) -> Reranker:
    return create_reranker(LOCAL, config, defaults=Defaults(rerank_model_path=folder))


def test_without_a_model_the_setting_is_named() -> None:
    with pytest.raises(RequestRefused, match=f"{SETTING}=FOLDER"):
        create_reranker(LOCAL)


@pytest.mark.parametrize("name", ["/etc", "./model", "../../model", "~/model", "a/b/c"])
def test_a_flow_cannot_name_a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match=f"'model'.*{SETTING}"):
        reranker(tmp_path, model=name)
    assert reranker(tmp_path, model=str(tmp_path)) is not None


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="the extra torch is installed")
async def test_a_missing_library_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(MissingLibrary, match=r"ragstone\[torch\]"):
        await reranker(tmp_path).rank("leave", ["Leave is 30 days."])


@with_torch
async def test_scores_do_not_hang_on_the_size_of_batches(folder: Path) -> None:
    texts = [f"sentence {number} " * (1 + number % 4) for number in range(20)]
    one = await reranker(folder, batchSize="1").rank("number", texts)
    many = await reranker(folder).rank("number", texts)
    assert one == pytest.approx(many, abs=1e-5)
    assert all(0 <= score <= 1 for score in many)


@with_torch
async def test_the_loop_goes_on_while_it_computes(folder: Path) -> None:
    made = reranker(folder)
    await made.open()
    task = asyncio.ensure_future(made.rank("number", [f"text {number}" for number in range(200)]))
    beats = 0
    while not task.done():
        await asyncio.sleep(0)
        beats += 1
    assert beats > 2
    await task


@with_torch
async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match=f"{SETTING}: there is no model folder"):
        await reranker(tmp_path / "absent").open()


@with_torch
async def test_what_is_no_cross_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="not a cross-encoder"):
        await reranker(tmp_path).open()
    with pytest.raises(RequestRefused, match="not a cross-encoder"):
        await reranker(write_sentence_transformer(tmp_path / "embedder")).open()
    with pytest.raises(RequestRefused, match="3 outputs"):
        await reranker(write_cross_encoder(tmp_path / "classes", outputs=3)).open()


@with_torch
async def test_nothing_is_downloaded_and_the_command_that_does_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RequestRefused, match="hf download someone/reranker"):
        await reranker(None, model="someone/reranker").open()


@with_torch
async def test_a_device_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(RequestRefused, match="does not run on 'warp'"):
        await reranker(folder, device="warp").open()
