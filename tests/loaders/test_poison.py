"""Hostile and odd files: each loads right or fails alone with its reason, and no parser grows beyond its limit."""

import io
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable

import docx
import pytest
import pytest_asyncio

from loaders import LOADERS, sandbox
from loaders.base import Failure, LoaderError, Source
from loaders.channels import report
from loaders.sandbox import Limits, Loaded, Sandbox
from loaders.tesseract import Ocr
from tests import poison
from tests.conformance.test_loaders import sample
from tests.loaders.conftest import Put
from tests.loaders.fake_tesseract import install

MEMORY = 256 << 20
UNTOUCHED = 32 << 20
"""What of the libraries an idle parser has mapped, but never read."""

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is bound by the Linux kernel")
Make = Callable[[], bytes]

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one helper serves all


@pytest.fixture
def peaks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The peak memory of every parser that has ended."""
    found: list[int] = []

    async def noting(watch: socket.socket) -> tuple[int, int]:
        status, peak = await report(watch)
        found.append(peak)
        return status, peak

    monkeypatch.setattr(sandbox, "report", noting)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parsers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    """A tight sandbox that reads pictures."""
    ocr = Ocr(install(tmp_path_factory.mktemp("bin")))
    async with Sandbox(Limits(memory_bytes=MEMORY, cpu_seconds=60, wall_seconds=150), ocr) as made:
        yield made


async def outcome(parsers: Sandbox, source: Source) -> Loaded | Failure:
    """What came of a file, whichever."""
    try:
        return await parsers.load(source)
    except LoaderError as error:
        return error.failure


def lone(text: str) -> bytes:
    return text.encode("utf-16-le")


REFUSED: list[tuple[str, Make, set[Failure]]] = [
    ("ratio.docx", poison.ratio_bomb, {Failure.TOO_LARGE}),
    ("nested.docx", poison.nested_bomb, {Failure.CORRUPT, Failure.TOO_LARGE}),
    ("entries.docx", lambda: poison.directory(20_000), {Failure.TOO_LARGE}),
    ("million-entries.docx", lambda: poison.directory(1_000_000), {Failure.TOO_LARGE}),
    ("overlap.docx", lambda: poison.directory(2_000, overlap=True), {Failure.TOO_LARGE, Failure.CORRUPT}),
    *[(f"laughs.{kind}", lambda kind=kind: poison.laughing(kind), {Failure.CORRUPT})
      for kind in ("xml", "svg", "docx", "xlsx", "odt")],
    ("recursive-forms.pdf", poison.recursive_forms, {Failure.MEMORY, Failure.TIMEOUT, Failure.EMPTY}),
    ("forms-of-forms.pdf", poison.forms_of_forms, {Failure.MEMORY, Failure.TIMEOUT, Failure.EMPTY}),
    ("endless-line.pdf", lambda: poison.endless_line(500_000), {Failure.MEMORY}),
    ("page-cycle.pdf", poison.page_cycle, {Failure.CORRUPT}),
    ("pages.pdf", lambda: poison.many_pages(20_000), {Failure.EMPTY, Failure.TOO_LARGE}),
    ("picture.png", lambda: poison.png(60_000), {Failure.TOO_LARGE}),
    ("liar.png", lambda: poison.png(9_000), {Failure.CORRUPT}),
    ("far.xlsx", lambda: poison.sheet('<row r="1"><c r="A1"><v>1</v></c></row>'
     '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'), {Failure.TOO_LARGE}),
    ("many.xml", lambda: poison.xml_of(1_000_000), {Failure.MEMORY}),
    ("deep.xml", lambda: b"<a>" * 100_000 + b"x" + b"</a>" * 100_000, {Failure.CORRUPT}),
    ("deep.json", lambda: poison.nested_json(100_000), {Failure.CORRUPT}),
    ("line.txt", lambda: poison.line_of(100_000_000), {Failure.MEMORY, Failure.TOO_LARGE}),
    ("one-byte.txt", lambda: b"\n", {Failure.EMPTY}),
    ("nul.txt", lambda: bytes(100_000), {Failure.UNKNOWN, Failure.EMPTY}),
]  # fmt: skip


def footed(footer: str) -> bytes:
    made, file = docx.Document(), io.BytesIO()
    made.add_paragraph("The ferry leaves at eight.")
    made.sections[0].footer.paragraphs[0].text = footer
    made.save(file)
    return file.getvalue()


READ: list[tuple[str, Make, str]] = [
    ("objects.pdf", lambda: poison.many_objects(100_000), "Lost among objects"),
    ("declared.xlsx", lambda: poison.sheet('<row r="1"><c r="A1" t="inlineStr"><is><t>one</t></is></c></row>'), "one"),
    ("laughs.html", lambda: poison.laughing("html"), "Readable."),
    ("deep.html", lambda: b"<div>" * 20_000 + b"core", "core"),
    ("digits.json", lambda: b'{"berths": ' + b"9" * 1_000_000 + b', "ferry": "at eight"}', "ferry: at eight"),
    ("digits.jsonl", lambda: b'{"berths": ' + b"9" * 5000 + b'}\n{"ferry": "at eight"}\n', "ferry: at eight"),
    ("leaders.docx", lambda: footed("- " * 20_000 + "Harbour office"), "Harbour office"),
    ("self.tif", poison.tiff_of_itself, "Picture of 1100 x 20"),
    ("lines.txt", lambda: b"ab\n" * 1_000_000, "ab\nab"),
    ("words.txt", lambda: poison.line_of(10_000_000, (b"some", b"words ")), "some words"),
    ("a", lambda: b"x", "x"),
    ("utf-16", lambda: "Fähre nach Süden, täglich um acht.".encode("utf-16-le"), "Fähre nach Süden"),
    (
        "shift-jis",
        lambda: ("船は毎日八時に港を出ます。切符は窓口で買えます。" * 4).encode("shift-jis"),
        "船は毎日八時に",
    ),
    ("gb18030", lambda: ("渡轮每天早上八点离开码头。请在窗口买票。" * 4).encode("gb18030"), "渡轮每天早上八点"),
    ("surrogates", lambda: lone("Ferry at eight ") + b"\x00\xd8" + lone(" daily, from the pier."), "Ferry at eight"),
    ("nul-inside", lambda: b"Ferry\0 at eight." + b" And more text." * 9, "Ferry at eight."),
    ("bidi", lambda: "Ferry \u202eat\u202c eight \U0001f98a".encode(), "\U0001f98a"),
    ("marks", lambda: ("e" + "\u0301" * 100_000 + " end").encode(), " end"),
]


@LINUX
@pytest.mark.parametrize(("name", "make", "reasons"), [pytest.param(*case, id=case[0]) for case in REFUSED])
async def test_a_poisoned_file_fails_alone_with_its_reason(
    parsers: Sandbox, put: Put, peaks: list[int], name: str, make: Make, reasons: set[Failure]
) -> None:
    with pytest.raises(LoaderError) as caught:
        await parsers.load(put(make(), name))
    assert caught.value.failure in reasons
    assert caught.value.message
    assert (await parsers.load(put(b"The next one.", "next.txt"))).documents[0].page_content == "The next one."
    assert max(peaks) <= MEMORY + peaks[-1] + UNTOUCHED


@LINUX
@pytest.mark.parametrize(("name", "make", "words"), [pytest.param(*case, id=case[0]) for case in READ])
async def test_an_odd_file_is_read(
    parsers: Sandbox, put: Put, peaks: list[int], name: str, make: Make, words: str
) -> None:
    loaded = await parsers.load(put(make(), name))
    text = "\n".join(made.page_content for made in loaded.documents)
    assert words in text
    assert "\0" not in text
    text.encode()
    await parsers.load(put(b"The next one.", "next.txt"))
    assert max(peaks) <= MEMORY + peaks[-1] + UNTOUCHED


async def test_a_pdf_with_a_picture_too_large_to_decode_does_not_fill_the_memory(
    parsers: Sandbox, put: Put, peaks: list[int]
) -> None:
    assert await outcome(parsers, put(poison.pdf_with_picture(20_000), "plan.pdf"))
    await parsers.load(put(b"The next one.", "next.txt"))
    assert max(peaks) <= MEMORY + peaks[-1] + UNTOUCHED


@pytest.mark.parametrize("name", sorted(LOADERS))
async def test_mutilated_samples_load_or_fail_with_a_reason(parsers: Sandbox, put: Put, name: str) -> None:
    """Cut off, bytes flipped, a stretch doubled or zeroed: through detection and in the sandbox, as users' files go."""
    whole, chance = sample(name).path.read_bytes(), random.Random(name)
    for way in range(8):
        data = bytearray(whole)
        at = chance.randrange(len(data))
        if way % 4 == 0:
            del data[at:]
        elif way % 4 == 1:
            for _ in range(1 + len(data) // 200):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif way % 4 == 2:
            data[at:at] = data[at : at + 1000]
        else:
            data[at : at + 100] = bytes(len(data[at : at + 100]))
        told = await outcome(parsers, put(bytes(data), sample(name).name))
        if isinstance(told, Loaded):
            assert all(made.page_content.strip() for made in told.documents)
        else:
            assert told is not Failure.CRASHED
