"""Real files: the answers to hand-written questions stand in the text that is loaded from them."""

import json
import os
import shutil
from pathlib import Path

import pytest

from loaders.base import Failure, LoaderError, Source
from loaders.sandbox import Limits, Sandbox
from loaders.tesseract import Ocr

SAMPLES = Path(__file__).parent.parent / "samples" / "documents"
FOLDER = "RAGSTONE_TEST_DOCUMENTS"
"""Names a folder with more of them: `files/` and `queries.jsonl`."""

BAD = {"bad-empty.txt": Failure.EMPTY, "bad-password.pdf": Failure.ENCRYPTED}
SCANNED = ("scanned-minutes.pdf", "ballot-study-table.png")


async def missing(files: Path, queries: Path) -> list[str]:
    """The questions whose answers do not stand in the text; pictures are left out where tesseract is not installed."""
    texts: dict[str, str] = {}
    failed: dict[str, Failure] = {}
    async with Sandbox(Limits(memory_bytes=1 << 30), Ocr()) as sandbox:
        for path in sorted(path for path in files.iterdir() if path.name not in ("README.md", "queries.jsonl")):
            try:
                loaded = await sandbox.load(Source(path, path.name))
            except LoaderError as error:
                failed[path.name] = error.failure
            else:
                texts[path.name] = " ".join(" ".join(made.page_content.split()) for made in loaded.documents)
    if shutil.which("tesseract") is None:
        failed = {name: failure for name, failure in failed.items() if name not in SCANNED}
    assert failed == BAD
    lacking = []
    for line in queries.read_text(encoding="utf-8").splitlines():
        query = json.loads(line)
        if query["kind"] == "absent" or (shutil.which("tesseract") is None and {*SCANNED} & {*query["files"]}):
            continue
        text = "\n".join(texts[name] for name in query["files"])
        found = [answer in text for answer in query["answers"]]
        if not (all(found) if query.get("all") else any(found)):
            lacking.append(query["text"])
    return lacking


async def test_answers_stand_in_the_text_of_small_real_files() -> None:
    assert await missing(SAMPLES, SAMPLES / "queries.jsonl") == []


@pytest.mark.quality
@pytest.mark.skipif(not os.environ.get(FOLDER), reason=f"{FOLDER} names no folder of documents")
async def test_answers_stand_in_the_text_of_a_whole_collection() -> None:
    folder = Path(os.environ[FOLDER])
    assert await missing(folder / "files", folder / "queries.jsonl") == []
