"""Hostile files among good ones: they fail alone, the good ones are found, and the service answers meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.settings import Settings, load
from tests import poison
from tests.service.document_stores.talk import API, File, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

SLOW = b"<div>" * 60_000 + b"core"
"""Takes a parser a while."""


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """With tight parsers."""
    tight = {"parser_memory": 256 << 20, "parser_cpu": 60, "tesseract": ""}
    return load({}, {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12, **tight})


POISONED: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "bomb.docx": (poison.ratio_bomb, {"too_large"}),
    "overlap.docx": (lambda: poison.directory(2_000, overlap=True), {"too_large", "corrupt"}),
    "laughs.xml": (lambda: poison.laughing("xml"), {"corrupt"}),
    "laughs.xlsx": (lambda: poison.laughing("xlsx"), {"corrupt"}),
    "forms.pdf": (poison.forms_of_forms, {"memory", "timeout", "empty_content"}),
    "pages.pdf": (lambda: poison.many_pages(5_000), {"empty_content"}),
    "picture.png": (lambda: poison.png(60_000), {"ocr_unavailable"}),
    "far.xlsx": (
        lambda: poison.sheet(
            '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
        ),
        {"too_large"},
    ),
    "many.xml": (lambda: poison.xml_of(1_000_000), {"memory"}),
    "deep.json": (lambda: poison.nested_json(100_000), {"corrupt"}),
    "nothing.txt": (lambda: b"", {"empty_content"}),
    "blank.txt": (lambda: b" \n\t\n", {"empty_content"}),
}


async def test_poisoned_files_fail_alone_while_the_service_answers(talk: Talk) -> None:
    store = await talk.store()
    bad = [(name, make()) for name, (make, _) in POISONED.items()]
    files: list[File] = [("first.txt", passages("Alpha")), *bad, ("slow.html", SLOW), ("last.txt", passages("Omega"))]
    job = await talk.start(store, *files)
    answered = 0
    while (found := (await talk.client.get(job)).json())["state"] in ("queued", "running"):
        response = await talk.client.post(f"{API}/vectorstore/query", json={"storeId": store, "query": "Alpha"})
        assert response.status_code == 200
        answered += found["state"] == "running"
    assert answered
    assert found["state"] == "done"
    codes = {item["name"]: item["code"] for item in found["result"]["failed"]}
    assert codes.keys() == POISONED.keys()
    assert {name: code for name, code in codes.items() if code not in POISONED[name][1]} == {}
    assert all(item["message"] for item in found["result"]["failed"])
    for topic in ("Alpha", "Omega", "core"):
        assert any(topic in hit["pageContent"] for hit in await talk.query(store, topic))
    states = {document["name"]: document["state"] for document in await talk.documents(store)}
    assert {name for name, state in states.items() if state == "failed"} == POISONED.keys()
    await talk.holds_together()


ODD = {
    "utf-16": "Quartz glows, said the miner. ".encode("utf-16-le") * 3,
    "wide-mark.txt": "Quartz glows, said the miner. ".encode("utf-16"),
    "shift-jis.txt": "石英は光る。鉱夫は言った。切符は窓口で買えます。".encode("shift-jis") * 3,
    "gb18030.txt": "石英在发光，矿工说。请在窗口买票。".encode("gb18030") * 5,
    "mixed.txt": "Café in UTF-8 and ".encode() + "Café in Windows".encode("cp1252"),
    "nul\N{SNOWMAN}.txt": b"Quartz\0 glows." * 20,
    "surrogate.txt": "Quartz ".encode("utf-16-le") + b"\x00\xd8" + " glows in the dark.".encode("utf-16-le"),
    "bidi.txt": "Quartz \u202ewolg\u202c \U0001f98a".encode(),
    "marks.txt": ("Quartz e" + "\u0301" * 50_000).encode(),
    "CON": b"Quartz glows.",
    "-rf, 'x'; ls.TXT": b"Quartz glows.",
    "\N{FOX FACE}" * 60 + ".md": b"# Quartz\n\nIt glows.",
}


async def test_texts_in_odd_encodings_under_odd_names_are_stored_and_found(talk: Talk) -> None:
    store = await talk.store()
    answer = await talk.upsert(store, *ODD.items())
    assert answer["failed"] == []
    assert {document["name"] for document in await talk.documents(store)} == ODD.keys()
    texts = await talk.texts(store)
    assert len(texts) >= len(ODD)
    assert all("\0" not in text and "\ufffd" not in text[:6] for text in texts)
    assert any("石英は光る" in text for text in texts)
    assert any("石英在发光" in text for text in texts)
    assert any("Café in UTF-8 and Café in Windows" in text for text in texts)
    await talk.holds_together()
