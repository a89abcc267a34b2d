"""A file that is given to the loader of another format: it is read where that is meant, else its kind is named."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from loaders.base import Failure, LoaderError
from loaders.sandbox import Limits, Sandbox
from tests.conformance.test_loaders import SAMPLES, sample
from tests.loaders.conftest import Put
from tests.loaders.office_files import doc, ole

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one helper serves all


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(Limits(cpu_seconds=20, wall_seconds=60)) as made:
        yield made


async def test_an_old_word_document_is_read_by_the_loader_that_takes_it(sandbox: Sandbox, put: Put) -> None:
    (found,) = (await sandbox.load(put(doc("Old words\r"), "a.doc"), "docxFile")).documents
    assert found.page_content == "Old words"


@pytest.mark.parametrize(
    ("loader", "given", "kind"),
    [
        ("microsoftPowerpoint", "pdf", "PDF"),
        ("microsoftPowerpoint", "docx", r"Word \(DOCX\)"),
        ("microsoftPowerpoint", "html", "HTML"),
        ("pdfFile", "docx", r"Word \(DOCX\)"),
        ("pdfFile", "csv", "CSV"),
        ("docxFile", "xls", r"Excel \(XLS\)"),
        ("docxFile", "rtf", "RTF"),
        ("epubFile", "odt", "OpenDocument text"),
        ("csvFile", "xls", r"Excel \(XLS\)"),
        ("jsonFile", "xlsx", r"Excel \(XLSX\)"),
        ("textFile", "pptx", r"PowerPoint \(PPTX\)"),
    ],
)
async def test_another_format_is_named_with_the_loader_that_reads_it(
    sandbox: Sandbox, loader: str, given: str, kind: str
) -> None:
    with pytest.raises(LoaderError, match=f"seems to be: {kind}.* fileLoader") as caught:
        await sandbox.load(sample(given), loader)
    assert caught.value.failure is Failure.UNKNOWN


async def test_what_no_loader_reads_is_told_as_such(sandbox: Sandbox, put: Put) -> None:
    with pytest.raises(LoaderError, match="save it as PPTX") as caught:
        await sandbox.load(put(ole({"PowerPoint Document": b"x"}), "a.ppt"), "microsoftPowerpoint")
    assert caught.value.failure is Failure.UNKNOWN
    locked = put(ole({"EncryptedPackage": b"x"}), "a.docx")
    for loader in ("pdfFile", "docxFile", "microsoftPowerpoint"):
        with pytest.raises(LoaderError) as caught:
            await sandbox.load(locked, loader)
        assert caught.value.failure is Failure.ENCRYPTED


@pytest.mark.parametrize("name", ["pdf", "docx", "pptx", "xlsx", "xls", "doc", "odt", "epub", "json", "jsonl", "xml"])
async def test_a_file_of_the_loaders_own_format_keeps_its_reason(sandbox: Sandbox, put: Put, name: str) -> None:
    data = sample(name).path.read_bytes()
    with pytest.raises(LoaderError) as caught:
        await sandbox.load(put(data[: len(data) * 6 // 10].rstrip(), "file"), name)
    assert caught.value.failure is Failure.CORRUPT
    assert "fileLoader" not in caught.value.message


async def test_wrong_json_still_says_where(sandbox: Sandbox, put: Put) -> None:
    with pytest.raises(LoaderError, match=r"[Ll]ine 2"):
        await sandbox.load(put('{"a": 1,\n"b" 2}', "notes"), "jsonFile")
    with pytest.raises(LoaderError) as caught:
        await sandbox.load(put((SAMPLES / "pdf" / "locked.pdf").read_bytes(), "a"), "pdfFile")
    assert caught.value.failure is Failure.ENCRYPTED
