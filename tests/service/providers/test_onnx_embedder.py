"""The bundled model: offline, cut at 256 tokens, batches that do not change vectors, queries first."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import service
from service.providers.embedding.lanes import BATCH_TEXTS, BATCH_TOKENS, Lanes, Tokens
from service.providers.embedding.onnx import OnnxEmbedder, bundled_model, model_in
from service.providers.errors import Malformed, RequestRefused

TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"


@pytest.fixture
async def embedder() -> AsyncIterator[OnnxEmbedder]:
    made = OnnxEmbedder(threads=2)
    yield made
    await made.aclose()


def test_the_vendored_tokenizer_is_the_published_one() -> None:
    content = bundled_model().tokenizer.read_bytes()
    assert hashlib.sha256(content).hexdigest() == TOKENIZER_SHA256


async def test_near_meanings_are_near(embedder: OnnxEmbedder) -> None:
    cat, kitten, tax = await embedder.embed_array(
        ["A cat sleeps on the sofa.", "The kitten is napping on a couch.", "Income tax is due in April."]
    )
    assert cat @ kitten > 0.6 > 0.2 > cat @ tax


async def test_text_counts_up_to_256_tokens_and_no_further(embedder: OnnxEmbedder) -> None:
    start = "river " * 200
    short, longer, far, farther = await embedder.embed_array(
        [start, start + "tax " * 40, start + "tax " * 60 + "cat", start + "tax " * 60 + "dog"]
    )
    assert short @ longer < 0.999
    assert np.allclose(far, farther, atol=1e-5)


async def test_the_bare_floor_gives_the_same_vectors(embedder: OnnxEmbedder) -> None:
    texts = [f"Sentence number {number} " * (1 + number % 5) for number in range(30)]
    assert np.allclose(embedder.embed_bare(texts), await embedder.embed_array(texts), atol=1e-4)


async def test_a_foreseen_question_is_computed_once_and_no_other_is_begun_meanwhile(
    embedder: OnnxEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = ["When does the office open?", "Who closes it?", "Where is it?"]
    embedder.foresee(questions[0])
    assert embedder.dimension is None, "no model is loaded for what nobody has asked for"
    expected = [await embedder.embed_query_array(question) for question in questions]
    runtime = embedder._load()
    computed: list[int] = []
    run = runtime.run

    def counted(batch: Sequence[Tokens]) -> NDArray[np.float32]:
        computed.append(len(batch))
        return run(batch)

    monkeypatch.setattr(runtime, "run", counted)
    embedder.foresee(questions[0])
    embedder.foresee(questions[1])
    for question, vector in zip(questions, expected, strict=True):
        assert np.allclose(await embedder.embed_query_array(question), vector, atol=1e-6)
    assert computed == [1, 1, 1]
    monkeypatch.setattr("service.providers.embedding.onnx._FORESEEN_SECONDS", 0)
    embedder.foresee(questions[0])
    while len(computed) < 4:  # noqa: ASYNC110 - the embedder tells nobody but those who ask
        await asyncio.sleep(0.01)
    await embedder.embed_array(questions)  # documents take nothing from it
    embedder.foresee(questions[1])  # nobody asked for the first one
    assert np.allclose(await embedder.embed_query_array(questions[1]), expected[1], atol=1e-6)
    assert sum(computed) == 8


async def test_another_model_comes_from_a_folder(embedder: OnnxEmbedder, tmp_path: Path) -> None:
    files = bundled_model()
    (tmp_path / "model.onnx").symlink_to(files.model)
    shutil.copy(files.tokenizer, tmp_path / "tokenizer.json")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}))
    other = OnnxEmbedder(tmp_path, threads=1)
    fingerprint = await other.fingerprint()
    assert (fingerprint.query_prefix, fingerprint.document_prefix) == ("query: ", "passage: ")
    assert fingerprint.dimension == 384
    assert fingerprint != await embedder.fingerprint()
    assert model_in(tmp_path).max_tokens == 64
    query, document = await other.embed_query_array("rivers"), (await other.embed_array(["rivers"]))[0]
    assert query @ document < 0.9999
    await other.aclose()


def test_a_folder_without_its_files_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match=r"model\.onnx and tokenizer\.json"):
        OnnxEmbedder(tmp_path)


async def test_a_broken_model_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    shutil.copy(bundled_model().tokenizer, tmp_path / "tokenizer.json")
    broken = OnnxEmbedder(tmp_path)
    with pytest.raises(Malformed, match=r"model\.onnx"):
        await broken.open()


def compute_rows(batch: Sequence[Tokens]) -> NDArray[np.float32]:
    return np.array([[len(tokens), tokens[0]] for tokens in batch], dtype=np.float32)


def test_batches_stay_within_their_bounds_and_rows_keep_their_order() -> None:
    batches: list[Sequence[Tokens]] = []

    def compute(batch: Sequence[Tokens]) -> NDArray[np.float32]:
        batches.append(batch)
        return compute_rows(batch)

    lanes = Lanes(compute, threads=2)
    texts = [[number] * (1 + number * 7 % 300) for number in range(100)]
    rows = lanes.submit(texts, urgent=False).result(timeout=30)
    lanes.close()
    assert rows.tolist() == [[len(text), text[0]] for text in texts]
    for batch in batches:
        assert len(batch) <= BATCH_TEXTS
        assert len(batch) == 1 or max(map(len, batch)) * len(batch) <= BATCH_TOKENS


async def test_urgent_texts_pass_a_long_bulk_job() -> None:
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def compute(batch: Sequence[Tokens]) -> NDArray[np.float32]:
        if len(batch[0]) > 50:  # bulk work ends only after the urgent answer
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(timeout=30)
        return compute_rows(batch)

    lanes = Lanes(compute, threads=1)
    bulk = asyncio.wrap_future(lanes.submit([[1] * 200] * 6, urgent=False))
    urgent = await asyncio.wrap_future(lanes.submit([[7] * 3], urgent=True))
    assert urgent.tolist() == [[3, 7]]
    assert not bulk.done()
    released.set()
    assert (await bulk).shape == (6, 2)
    await asyncio.to_thread(lanes.close)


async def test_waiting_urgent_texts_share_a_batch() -> None:
    sizes: list[int] = []
    first, go = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def compute(batch: Sequence[Tokens]) -> NDArray[np.float32]:
        sizes.append(len(batch))
        loop.call_soon_threadsafe(first.set)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result(timeout=30)
        return compute_rows(batch)

    lanes = Lanes(compute, threads=1)
    lone = asyncio.wrap_future(lanes.submit([[1]], urgent=True))
    await first.wait()
    others = [asyncio.wrap_future(lanes.submit([[number]], urgent=True)) for number in range(6)]
    go.set()
    await asyncio.gather(lone, *others)
    assert sizes == [1, 6]
    await asyncio.to_thread(lanes.close)


def test_a_failing_batch_fails_its_callers_and_not_the_worker() -> None:
    def compute(batch: Sequence[Tokens]) -> NDArray[np.float32]:
        if batch[0][0] == 13:
            raise ValueError("thirteen")
        return compute_rows(batch)

    lanes = Lanes(compute, threads=1)
    with pytest.raises(ValueError, match="thirteen"):
        lanes.submit([[13]], urgent=False).result(timeout=30)
    assert lanes.submit([[2]], urgent=False).result(timeout=30).tolist() == [[1, 2]]
    lanes.close()
    with pytest.raises(RuntimeError, match="closed"):
        lanes.submit([[2]], urgent=False)


def test_the_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """Its reports leave in native code, past the egress client: that none are made shows in what it would keep for
    them."""
    program = (
        "import asyncio; from service.providers.embedding.onnx import OnnxEmbedder; asyncio.run(OnnxEmbedder().open())"
    )
    place = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")}
    root = str(Path(service.__file__).parent.parent)
    subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": root, **place},
        check=True,
        timeout=120,
    )
    assert [str(path) for path in tmp_path.rglob("*")] == []
