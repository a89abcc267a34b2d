"""Every suffix that is advertised loads, the kinds of Office files that are told by a type within too."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.documents import Document

from loaders import LOADERS, loader
from loaders.detect import detect
from tests.loaders.conftest import Put
from tests.loaders.fake_tesseract import FakeReader
from tests.loaders.office_files import package, parts

SAMPLES = Path(__file__).parent.parent / "samples"
OPEN_XML, MICROSOFT = "application/vnd.openxmlformats-officedocument.", "application/vnd.ms-"
KINDS = {
    ".docx": OPEN_XML + "wordprocessingml.document.main+xml",
    ".docm": MICROSOFT + "word.document.macroEnabled.main+xml",
    ".dotx": OPEN_XML + "wordprocessingml.template.main+xml",
    ".dotm": MICROSOFT + "word.template.macroEnabledTemplate.main+xml",
    ".xlsx": OPEN_XML + "spreadsheetml.sheet.main+xml",
    ".xlsm": MICROSOFT + "excel.sheet.macroEnabled.main+xml",
    ".xltx": OPEN_XML + "spreadsheetml.template.main+xml",
    ".xltm": MICROSOFT + "excel.template.macroEnabled.main+xml",
    ".pptx": OPEN_XML + "presentationml.presentation.main+xml",
    ".pptm": MICROSOFT + "powerpoint.presentation.macroEnabled.main+xml",
    ".ppsx": OPEN_XML + "presentationml.slideshow.main+xml",
    ".ppsm": MICROSOFT + "powerpoint.slideshow.macroEnabled.main+xml",
    ".potx": OPEN_XML + "presentationml.template.main+xml",
    ".potm": MICROSOFT + "powerpoint.template.macroEnabled.main+xml",
}
"""The type of the main part of an Office file."""

OPEN_DOCUMENTS = {".ott": "text-template", ".ots": "spreadsheet-template"}
ADVERTISED = [(name, suffix) for name, row in LOADERS.items() for suffix in row.suffixes]
FURTHER = [(name, suffix) for suffix in KINDS for name in ("docx", "xlsx", "pptx") if suffix[1:3] == name[:2]]


def sample(name: str, suffix: str) -> bytes:
    """The sample of a loader as a file of that suffix is made."""
    file: str = json.loads((SAMPLES / name / "expected.json").read_text("utf-8"))[0]["file"]
    data = (SAMPLES / name / file).read_bytes()
    if suffix in KINDS:
        found = parts(data)
        types = found["[Content_Types].xml"]
        usual = KINDS["." + name].encode()
        assert usual in types
        return package(found | {"[Content_Types].xml": types.replace(usual, KINDS[suffix].encode())})
    if suffix in OPEN_DOCUMENTS:
        found = parts(data)
        del found["mimetype"]
        return package(found, "application/vnd.oasis.opendocument." + OPEN_DOCUMENTS[suffix])
    return data


@pytest.mark.parametrize(("name", "suffix"), sorted({*ADVERTISED, *FURTHER}))
def test_a_file_of_every_suffix_loads(put: Put, name: str, suffix: str) -> None:
    def load(data: bytes) -> list[Document]:
        source = replace(put(data, f"file{suffix}"), ocr=FakeReader())
        assert detect(source) == name
        return list(loader(name).load(source, {}))

    assert load(sample(name, suffix)) == load(sample(name, ""))
