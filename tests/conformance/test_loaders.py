"""What every row of the loader table holds to. A new row needs a sample and its `expected.json`, no code here."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from loaders import FLOWISE_LOADERS, LOADERS, canonical, loader
from loaders.base import Failure, Loader, LoaderError, Source
from loaders.detect import detect
from loaders.sandbox import Limits, Sandbox
from loaders.tesseract import Ocr
from tests.loaders.fake_tesseract import FakeReader, install

SAMPLES = Path(__file__).parent.parent / "samples"
NAMES = sorted(LOADERS)
TOLD_BY_NAME = dict.fromkeys(("markdown", "yaml", "rst", "org", "code"), "text")
"""Formats that are text without any mark of their own, and what they are under a name that says nothing."""
CHECKED_WHOLE = ("pdf", "docx", "json", "jsonl", "xlsx", "pptx", "ods", "odt", "odp", "epub", "xml", "image", "tnef")
"""Formats that show when their end is missing."""


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((SAMPLES / name / "expected.json").read_text(encoding="utf-8"))
    return found


def picture_source(path: Path, name: str) -> Source:
    """A source whose pictures are read as the sandbox's stand-in for tesseract does."""
    return Source(path, name, ocr=FakeReader())


def sample(name: str) -> Source:
    file = cases(name)[0]["file"]
    return picture_source(SAMPLES / name / file, file)


def load(name: str, source: Source, options: dict[str, Any] | None = None) -> list[Document]:
    return list(loader(name).load(source, options or {}))


CASES = [(name, number) for name in NAMES for number in range(len(cases(name)))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    ocr = Ocr(install(tmp_path_factory.mktemp("bin")))
    async with Sandbox(Limits(cpu_seconds=20, wall_seconds=60), ocr) as made:
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_a_row_names_a_loader_and_has_a_sample(name: str) -> None:
    assert issubclass(resolve_name(LOADERS[name].target), Loader)
    assert LOADERS[name].suffixes
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in LOADERS[name].suffixes)
    assert cases(name)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_sample_loads_as_expected(name: str, number: int) -> None:
    case = cases(name)[number]
    source = picture_source(SAMPLES / name / case["file"], case["file"])
    made = [{"text": found.page_content, "metadata": found.metadata} for found in load(name, source, case["options"])]
    assert made == case["documents"]


@pytest.mark.parametrize("name", NAMES)
def test_documents_carry_their_provenance(name: str) -> None:
    for made in load(name, sample(name)):
        assert made.metadata["source"] == sample(name).name
        assert made.metadata["title"]
        assert made.metadata["format"] in ("text", "markdown")
        assert made.page_content.strip()
        assert "\0" not in made.page_content


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("renamed", ["x", "X.TXT", "-rf.bin", 'a,"b"\n🦆.dat', "é" * 200 + ".txt"])
def test_the_content_decides_whatever_the_name(name: str, renamed: str) -> None:
    assert detect(Source(sample(name).path, renamed)) == TOLD_BY_NAME.get(name, name)


@pytest.mark.parametrize("name", NAMES)
def test_suffixes_in_capitals_and_mime_types_are_known(name: str) -> None:
    row = LOADERS[name]
    assert detect(Source(sample(name).path, "file" + row.suffixes[0].upper())) == name
    assert detect(Source(sample(name).path, "file", row.mimes[0] + "; charset=utf-8")) == name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b" \r\n\t\n  \n"])
def test_a_file_without_content_is_empty(name: str, data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    source = Source(file, "file" + LOADERS[name].suffixes[0])
    for read in (lambda: load(name, source), lambda: detect(source)):
        with pytest.raises(LoaderError) as caught:
            read()
        assert caught.value.failure is Failure.EMPTY


@pytest.mark.parametrize("name", CHECKED_WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_breaks_off_is_corrupt(name: str, share: float, tmp_path: Path) -> None:
    data = sample(name).path.read_bytes()
    file = tmp_path / "file"
    file.write_bytes(data[: int(len(data) * share)].rstrip())
    with pytest.raises(LoaderError) as caught:
        load(name, picture_source(file, "file"))
    assert caught.value.failure is Failure.CORRUPT


@pytest.mark.parametrize("name", NAMES)
def test_binary_data_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(LoaderError) as caught:
        load(name, Source(file, "file" + LOADERS[name].suffixes[0]))
    assert caught.value.failure in (Failure.CORRUPT, Failure.UNKNOWN)


@pytest.mark.parametrize("name", NAMES)
def test_no_reason_tells_where_the_file_lies(name: str, tmp_path: Path) -> None:
    whole = sample(name).path.read_bytes()
    foreign = [sample(other).path.read_bytes() for other in ("docx", "pptx", "xlsx", "odt", "doc", "image", "pdf")]
    file = tmp_path / "file"
    told = ""
    for data in (whole[: len(whole) // 2], whole[:40], bytes(range(256)), b"II*\0" + bytes(99), *foreign):
        file.write_bytes(data)
        try:
            load(name, picture_source(file, "file"))
        except LoaderError as error:
            told += error.message
    assert told
    assert "<_io" not in told
    assert str(tmp_path) not in told


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=4))
def test_damaged_files_load_or_fail_with_a_reason(
    name: str, damage: list[tuple[float, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(sample(name).path.read_bytes())
    for share, patch in damage:
        at = int(len(data) * share)
        data[at : at + len(patch)] = patch
    file = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    file.write_bytes(data)
    made: list[Document] | str
    try:
        made = load(name, picture_source(file, "file"))
    except LoaderError as error:
        made = error.message
    assert made
    assert isinstance(made, str) or all(found.page_content.strip() for found in made)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_child_process_gives_the_same(name: str, sandbox: Sandbox) -> None:
    made = await sandbox.load(sample(name))
    assert made.loader == name
    assert list(made.documents) == load(name, sample(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.asyncio(loop_scope="module")
async def test_more_text_than_allowed_is_too_large(name: str, sandbox: Sandbox) -> None:
    with pytest.raises(LoaderError) as caught:
        await sandbox.load(sample(name), name, limits=Limits(output_bytes=40))
    assert caught.value.failure is Failure.TOO_LARGE


@pytest.mark.parametrize("name", sorted(FLOWISE_LOADERS))
@pytest.mark.asyncio(loop_scope="module")
async def test_flowise_names_load_their_samples(name: str, sandbox: Sandbox) -> None:
    row = canonical(name)
    source = sample(row if row in LOADERS else "pdf")
    assert (await sandbox.load(source, name)).documents


def test_a_copy_elsewhere_gives_the_same(tmp_path: Path) -> None:
    for name in NAMES:
        copy = Path(shutil.copy(sample(name).path, tmp_path / "blob"))
        assert load(name, picture_source(copy, sample(name).name)) == load(name, sample(name))


def test_an_unknown_loader_names_the_known() -> None:
    with pytest.raises(LoaderError, match="textFile") as caught:
        canonical("telepathy")
    assert caught.value.failure is Failure.BAD_OPTION
