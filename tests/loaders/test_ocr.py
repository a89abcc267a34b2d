"""Pictures and scanned pages: what reaches tesseract, what comes back, and what happens when it fails."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest
from fpdf import FPDF
from fpdf.enums import TextMode
from PIL import Image, ImageDraw, ImageFont

from loaders import loader, ocr
from loaders.base import Failure, LoaderError, Source
from loaders.sandbox import Limits, Sandbox
from loaders.tesseract import Ocr
from tests.loaders.conftest import Put
from tests.loaders.fake_tesseract import TABLE, FakeReader, install

Make = Callable[..., Sandbox]
REAL = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed here")


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Sandboxes with a stand-in for tesseract that plays a trick."""
    opened: list[Sandbox] = []

    def made(trick: str = "", **settings: object) -> Sandbox:
        program = install(tmp_path / f"bin{len(opened)}", trick)
        opened.append(Sandbox(Limits(), Ocr(**{"program": program, **settings})))  # type: ignore[arg-type]
        return opened[-1]

    yield made
    for each in opened:
        await each.close()


def picture(size: tuple[int, int] = (1200, 300), form: str = "PNG", *, mode: str = "L", pages: int = 1) -> bytes:
    file = BytesIO()
    image = Image.new(mode, size, "white" if mode != "L" else 255)
    more = [Image.new(mode, (size[0] + 10 * number, size[1])) for number in range(1, pages)]
    image.save(file, form, **({"save_all": True, "append_images": more} if more else {}))
    return file.getvalue()


def words(*lines: str) -> Image.Image:
    image = Image.new("L", (1400, 120 * len(lines) + 80), 255)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((60, 40 + 120 * number), line, fill=0, font=ImageFont.load_default(size=64))
    return image


def scan(*pages: str | Image.Image | None) -> bytes:
    """A PDF of pages with a text layer (a string), a picture, or nothing."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for page in pages:
        pdf.add_page()
        if isinstance(page, str):
            pdf.cell(text=page)
        elif page is not None:
            pdf.image(page, w=150)
    return bytes(pdf.output())


def upon(text: str, *, text_first: bool = False, hidden: bool = False, width: int = 210) -> bytes:
    """A PDF of a page of text and one whose picture, as wide as told (of 210), and text lie upon each other."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    pdf.cell(text="Printed words.")
    pdf.add_page()
    if not text_first:
        pdf.image(words("seen").resize((210, 297)), 0, 0, width, 297)
    pdf.text_mode = TextMode.INVISIBLE if hidden else TextMode.FILL
    pdf.multi_cell(0, text=text)
    if text_first:
        pdf.image(words("seen").resize((210, 297)), 0, 0, width, 297)
    return bytes(pdf.output())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"])
async def test_every_kind_of_picture_is_read_by_its_content(make: Make, put: Put, form: str) -> None:
    loaded = await make().load(put(picture(form=form), "photo.dat"))
    assert loaded.loader == "image"
    assert [found.page_content for found in loaded.documents] == ["Picture of 1200 x 300"]
    assert loaded.documents[0].metadata["ocr_confidence"] == 90


async def test_each_page_of_a_tiff_is_a_document(make: Make, put: Put) -> None:
    loaded = await make().load(put(picture(form="TIFF", pages=3), "fax.tif"))
    assert [found.page_content for found in loaded.documents] == [
        "Picture of 1200 x 300", "Picture of 1210 x 300", "Picture of 1220 x 300",
    ]  # fmt: skip
    assert [(found.metadata["page"], found.metadata["pages"]) for found in loaded.documents] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_grey(put: Put, mode: str) -> None:
    form = "TIFF" if mode in ("CMYK", "I;16", "I", "F") else "PNG"
    file = BytesIO()
    Image.new(mode, (1100, 20)).save(file, form)
    reader = FakeReader()
    list(loader("image").load(Source(put(file.getvalue(), "x").path, "x", ocr=reader), {}))
    assert reader.sizes[0][:2] == (1100, 20)


def test_a_turned_photo_is_set_upright_and_a_small_one_is_enlarged(put: Put) -> None:
    image = Image.new("RGB", (1600, 400))
    exif = image.getexif()
    exif[0x0112] = 6
    file = BytesIO()
    image.save(file, "JPEG", exif=exif, dpi=(300, 300))
    reader = FakeReader()
    for data in (file.getvalue(), picture((200, 100))):
        list(loader("image").load(Source(put(data, "x").path, "x", ocr=reader), {}))
    assert reader.sizes == [(400, 1600, 300), (400, 200, 0)]


def test_a_large_picture_is_made_smaller_before_it_is_read(put: Put) -> None:
    reader = FakeReader()
    list(loader("image").load(Source(put(picture((9000, 9000), mode="1"), "x").path, "x", ocr=reader), {}))
    (width, height, _), *more = reader.sizes
    assert width == height
    assert ocr.MOST_SENT * 0.98 < width * height <= ocr.MOST_SENT
    assert not more


async def test_pages_without_a_text_layer_are_read_and_others_are_left(make: Make, put: Put) -> None:
    data = scan("Printed words.", words("seen"), None, "More words.")
    loaded = await make().load(put(data, "mixed.pdf"))
    told = [(found.metadata["page"], found.metadata.get("ocr_confidence")) for found in loaded.documents]
    assert told == [(1, None), (2, 90), (4, None)]
    assert loaded.documents[1].page_content == "Picture of 2481 x 3508"
    assert all("pages_without_text" not in found.metadata for found in loaded.documents)
    whole = await make().load(put(data, "mixed.pdf"), options={"usage": "perFile"})
    assert whole.documents[0].page_content == "Printed words.\n\nPicture of 2481 x 3508\n\nMore words."


@pytest.mark.parametrize("program", ["", "there-is-no-such-program"])
async def test_without_tesseract_pictures_fail_and_pages_are_named(put: Put, program: str) -> None:
    async with Sandbox(ocr=Ocr(program)) as made:
        with pytest.raises(LoaderError, match="apt install tesseract-ocr") as caught:
            await made.load(put(picture(), "photo.png"))
        assert caught.value.failure is Failure.OCR_UNAVAILABLE
        with pytest.raises(LoaderError, match="apt install tesseract-ocr") as caught:
            await made.load(put(scan(words("a"), words("b")), "scan.pdf"))
        assert caught.value.failure is Failure.EMPTY
        seen = words("x")
        loaded = await made.load(put(scan("Text.", seen, seen, None, seen), "mixed.pdf"))
        assert [found.metadata["pages_without_text"] for found in loaded.documents] == ["2-3, 5"]


async def test_empty_pages_are_not_taken_for_pictures(make: Make, put: Put) -> None:
    with pytest.raises(LoaderError) as caught:
        await make().load(put(scan(None, Image.new("L", (400, 300), 255)), "blank.pdf"))  # of which one has a picture
    assert caught.value.failure is Failure.EMPTY
    assert "tesseract" not in caught.value.message


async def test_a_scan_with_a_stamp_is_read_and_keeps_the_stamp(make: Make, put: Put) -> None:
    data = upon("Case 7\nFiled in May")
    loaded = await make().load(put(data, "scan.pdf"))
    assert loaded.documents[1].page_content == "Case 7\nFiled in May\n\nPicture of 2481 x 3508"
    assert [found.metadata.get("ocr_confidence") for found in loaded.documents] == [None, 90]
    async with Sandbox(ocr=Ocr("")) as made:
        loaded = await made.load(put(data, "scan.pdf"))
    assert loaded.documents[1].page_content == "Case 7\nFiled in May"
    assert [found.metadata["pages_without_text"] for found in loaded.documents] == ["2", "2"]


@pytest.mark.parametrize(
    "many",
    [{"hidden": True}, {"text_first": True}, {"width": 150}, {"text": "One line.\nAnother line.\nA third line."}],
)
def test_a_page_with_a_text_layer_of_its_own_is_not_read_again(put: Put, many: dict[str, Any]) -> None:
    reader = FakeReader()
    source = Source(put(upon(**{"text": "Case 7", **many}), "a.pdf").path, "a.pdf", ocr=reader)
    (_, page) = loader("pdf").load(source, {})
    assert page.page_content == many.get("text", "Case 7")
    assert not reader.sizes


class Eye(FakeReader):
    """Remembers the dots that it was shown."""

    def read(self, picture: ocr.Picture) -> str:
        """What `FakeReader` reads."""
        self.seen = picture.grey
        return super().read(picture)


def stripes(stamp: str) -> bytes:
    """A PDF of a page whose picture is cut into strips, and a stamp."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    whole = words("seen").resize((210, 297))
    for top in range(0, 297, 27):
        pdf.image(whole.crop((0, top, 210, top + 27)), 0, top, 210, 27)
    pdf.cell(text=stamp)
    return bytes(pdf.output())


def nested(data: bytes) -> bytes:
    """A PDF whose one page shows the last one of another in a form, half as large."""
    file = BytesIO()
    with pdfium.PdfDocument(data) as inner, pdfium.PdfDocument.new() as made:
        width, height = inner[len(inner) - 1].get_size()
        page = made.new_page(width / 2, height / 2)
        form = inner.page_as_xobject(len(inner) - 1, made).as_pageobject()
        form.transform(pdfium.PdfMatrix().scale(0.5, 0.5))
        page.insert_obj(form)
        page.gen_content()
        made.save(file)
    return file.getvalue()


@pytest.mark.parametrize("text", ["Case 7", "Case 7\nFiled in May"])
@pytest.mark.parametrize("twice", [False, True])
def test_a_scan_within_a_form_is_read_without_its_stamp(put: Put, text: str, twice: bool) -> None:
    eye, bare = Eye(), Eye()
    found = []
    for reader, data in ((eye, upon(text)), (bare, upon(""))):
        made = nested(nested(data)) if twice else nested(data)
        (page,) = loader("pdf").load(replace(put(made, "a.pdf"), ocr=reader), {})
        found.append(page.page_content)
    size = "Picture of 621 x 877" if twice else "Picture of 1241 x 1754"
    assert found == [f"{text}\n\n{size}", size]
    assert eye.seen == bare.seen


@pytest.mark.parametrize("many", [{"hidden": True}, {"text_first": True}, {"width": 150}])
def test_a_page_within_a_form_with_a_text_layer_of_its_own_is_not_read_again(put: Put, many: dict[str, Any]) -> None:
    reader = FakeReader()
    (page,) = loader("pdf").load(replace(put(nested(upon("Case 7", **many)), "a.pdf"), ocr=reader), {})
    assert page.page_content == "Case 7"
    assert not reader.sizes


def test_a_scan_that_is_cut_into_strips_is_read(put: Put) -> None:
    (page,) = loader("pdf").load(replace(put(stripes("Case 7"), "a.pdf"), ocr=FakeReader()), {})
    assert page.page_content == "Case 7\n\nPicture of 2481 x 3508"


def test_stamps_beyond_the_limits_of_a_file_do_not_fail_it(put: Put) -> None:
    reader = FakeReader(Failure.TOO_LARGE)
    source = Source(put(upon("Case 7"), "a.pdf").path, "a.pdf", ocr=reader)
    assert [found.metadata["pages_without_text"] for found in loader("pdf").load(source, {})] == ["2", "2"]


async def test_only_installed_languages_are_asked_for(make: Make, put: Put) -> None:
    trick = "sys.stdout.write(''); width = sys.argv[sys.argv.index('-l') + 1]"
    made = make(trick, languages="eng+tlh")
    data = picture()
    assert (await made.load(put(data, "a"))).documents[0].page_content == "Picture of eng x 300"
    given = await made.load(put(data, "a"), options={"ocrLanguages": ["deu", "eng"]})
    assert given.documents[0].page_content == "Picture of deu+eng x 300"
    with pytest.raises(LoaderError, match=r"tlh.*installed are deu, eng") as caught:
        await made.load(put(data, "a"), options={"ocrLanguages": "tlh"})
    assert caught.value.failure is Failure.OCR_UNAVAILABLE


@pytest.mark.parametrize(
    ("trick", "expected"),
    [
        ("while True: pass", Failure.TIMEOUT),
        ("x = bytearray(1 << 40)", Failure.CRASHED),
        ("import os; os.abort()", Failure.MEMORY),
        ("sys.exit(1)", Failure.CRASHED),
        ("while True: sys.stdout.write('x' * 65536)", Failure.TOO_LARGE),
    ],
)
async def test_a_tesseract_that_goes_wrong_fails_the_one_picture(
    make: Make, put: Put, trick: str, expected: Failure
) -> None:
    made = make(trick, page_seconds=1)
    with pytest.raises(LoaderError) as caught:
        await made.load(put(picture(), "a"))
    assert caught.value.failure is expected
    if expected is not Failure.TOO_LARGE:
        loaded = await made.load(put(scan("Text.", words("a"), words("b")), "a.pdf"))
        assert [found.metadata["pages_without_text"] for found in loaded.documents] == ["2-3"]
    assert (await made.load(put(b"Hello.", "b.txt"))).documents


async def test_a_tesseract_that_takes_nothing_does_not_block(make: Make, put: Put, tmp_path: Path) -> None:
    made = make()
    path = Path(install(tmp_path / "deaf"))
    path.write_text("#!/bin/sh\ncase $1 in --list-langs) echo list; echo eng;; esac\n")
    made = Sandbox(ocr=Ocr(str(path)))
    try:
        with pytest.raises(LoaderError) as caught:
            await made.load(put(picture((4000, 4000)), "a"))
        assert caught.value.failure is Failure.EMPTY
    finally:
        await made.close()


async def test_tesseract_has_no_network_and_cannot_write(make: Make, put: Put, tmp_path: Path) -> None:
    trick = f"""
import socket
try: socket.socket(); width = "open"
except PermissionError: width = "cut"
try:
    with open({str(tmp_path / "out")!r}, "w") as file: file.write("x" * 10)
    height = "written"
except OSError: height = "read-only"
"""
    loaded = await make(trick).load(put(picture(), "a"))
    assert loaded.documents[0].page_content == "Picture of cut x read-only"


async def test_a_file_has_so_many_pictures_and_no_more(make: Make, put: Put) -> None:
    made = make(pages=2)
    assert len((await made.load(put(picture(form="TIFF", pages=2), "a"))).documents) == 2
    for data in (picture(form="TIFF", pages=3), scan("Text.", words("a"), words("b"), words("c"))):
        with pytest.raises(LoaderError, match="ocr_pages") as caught:
            await made.load(put(data, "a"))
        assert caught.value.failure is Failure.TOO_LARGE


async def test_cancelling_ends_the_reading(make: Make, put: Put, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    mark.touch()
    made = make("import time; time.sleep(600)")
    task = asyncio.create_task(made.load(put(picture(), "a")))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_doubtful_words_are_left_out_and_paragraphs_stay_apart() -> None:
    rows = [
        (1, 1, 1, 96, "Tide"),
        (1, 1, 1, 20, "~~"),
        (1, 1, 2, 90, "table"),
        (1, 2, 1, 60, "High"),
        (2, 1, 1, 5, "|"),
    ]
    table = TABLE + "".join(
        f"5\t1\t{block}\t{paragraph}\t{line}\t1\t0\t0\t1\t1\t{sure}\t{word}\n"
        for block, paragraph, line, sure, word in rows
    )
    assert ocr.reading_of(table + "5\t1\tx\n3\t1\t1\t1\t1\t1\t0\t0\t1\t1\t-1\t\n") == ocr.Reading(
        "Tide\ntable\n\nHigh", 82
    )
    assert ocr.reading_of("") == ocr.Reading("", 0)


@REAL
async def test_tesseract_reads_pictures_and_scans(put: Put) -> None:
    lines = ("Ferry to Harbour Isle", "leaves at 07:15")
    file = BytesIO()
    words(*lines).save(file, "PNG")
    async with Sandbox(ocr=Ocr()) as made:
        for data in (file.getvalue(), scan(words(*lines))):
            loaded = await made.load(put(data, "a"))
            assert " ".join(loaded.documents[0].page_content.split()) == " ".join(lines)


@REAL
async def test_tesseract_does_not_see_the_stamp_upon_a_scan(put: Put) -> None:
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    page = Image.new("L", (2480, 3508), 255)
    page.paste(words("Ferry to Harbour Isle"), (200, 900))
    pdf.image(page, 0, 0, 210, 297)
    pdf.cell(text="Case 7")
    async with Sandbox(ocr=Ocr()) as made:
        loaded = await made.load(put(bytes(pdf.output()), "a"))
    assert loaded.documents[0].page_content == "Case 7\n\nFerry to Harbour Isle"
