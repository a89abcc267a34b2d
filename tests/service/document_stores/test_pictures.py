"""Pictures and scanned pages through the API: read by the program that the settings name."""

from io import BytesIO
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image

from service.settings import Settings, load
from tests.loaders.fake_tesseract import install
from tests.service.document_stores.talk import Talk

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """With a stand-in for tesseract."""
    own = {"tesseract": install(tmp_path / "bin"), "ocr_languages": "deu+eng", "database_pool": 12}
    return load({}, {"data": tmp_path / "data", "database_url": database_url, **own})


async def test_pictures_and_scans_are_found_by_what_stands_in_them(talk: Talk) -> None:
    picture = BytesIO()
    Image.new("1", (1300, 20), 1).save(picture, "PNG")
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    pdf.cell(text="Printed words.")
    pdf.add_page()
    pdf.image(Image.new("L", (60, 60)), w=50)
    store = await talk.store()
    answer = await talk.upsert(store, ("sign.png", picture.getvalue()), ("scan.pdf", bytes(pdf.output())))
    assert answer["failed"] == []
    found = {hit["pageContent"]: hit["metadata"] for hit in await talk.query(store, "Picture")}
    assert found["Picture of 1300 x 20"]["ocr_confidence"] == 90
    assert found["Picture of 2481 x 3508"]["page"] == 2
    await talk.holds_together()
