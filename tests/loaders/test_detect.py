import io
import json
import tracemalloc
import zipfile
from dataclasses import replace

import pytest

from loaders import loader
from loaders.base import Failure, LoaderError
from loaders.detect import declared, detect
from tests.loaders.conftest import Put
from tests.loaders.office_files import ole, package


def archive(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        ("%PDF-1.7\n…", "notes.txt", "pdf"),
        (b"\xef\xbb\xbf\r\n%PDF-1.7\n", "a", "pdf"),
        ("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n%PDF-1.7\n", "a", "pdf"),
        ("Date: x\nContent-Type: application/pdf;\n name=a.pdf\n\n%PDF-1.7\n", "a.eml", "pdf"),
        ("\x1b%-12345X@PJL ENTER LANGUAGE=PDF\n%PDF-1.7\n", "a", "pdf"),
        (b"header\n%PDF-1.7\n" + bytes(range(256)) * 9, "a", "pdf"),
        ("# About PDF\n\nA file begins with `%PDF-1.7`.\n", "a.md", "markdown"),
        ("A file begins so:\n%PDF-1.7\n1 0 obj\n", "a", "text"),
        ("From: a@x\nTo: b@x\nDate: x\n\n%PDF-1.7 is the mark.\n", "a", "eml"),
        (r"{\rtf1\ansi of %PDF-1.7}", "a", "rtf"),
        (package({"word/document.xml": "%PDF-1.7"}, "%PDF-1.7"), "a", "docx"),
        (archive("[Content_Types].xml", "word/document.xml"), "a.zip", "docx"),
        (archive("xl/workbook.xml"), "a.docx", "xlsx"),
        (archive("ppt/presentation.xml"), "a", "pptx"),
        (archive("mimetype", "META-INF/container.xml"), "a", "epub"),
        (archive("content.xml"), "a.ods", "ods"),
        (ole({"WordDocument": b"x"}), "a.xls", "doc"),
        (ole({"Workbook": b"x"}), "a.doc", "xls"),
        (ole({"__properties_version1.0": b"x"}), "a", "msg"),
        ("<!DOCTYPE html><p>x", "a.txt", "html"),
        ("<?xml version='1.0'?>\n<!-- x -->\n<html xmlns='x'>", "a", "html"),
        ("<div><p>one</p><p>two</p></div>", "a", "html"),
        ("<h1 align=center>Tool</h1>\n<p>x</p><p>y</p>\n# Use", "README.md", "markdown"),
        ("<note><to>x</to></note>", "a.xml", "xml"),
        ("<?xml version='1.0'?><note/>", "a.txt", "xml"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nx", "a.txt", "vtt"),
        ("1\n00:00:01,000 --> 00:00:02,000\nx", "a", "srt"),
        ("From: a@x\nTo: b@x\nDate: today\n\nx", "a.txt", "eml"),
        ("From: me\nTo: you\nSubject: no mail\n\nx", "a.txt", "text"),
        (r"{\rtf1\ansi hello}", "a.doc", "rtf"),
        ("a: [1, 2]", "a.yml", "yaml"),
        ("Title\n=====\n", "a.rst", "rst"),
        ("* Title", "a.org", "org"),
        ('{"a": [1, 2]}', "a.txt", "json"),
        ('[\n {"a": 1},\n {"a": 2}\n]', "a.csv", "json"),
        ('{"a": 1}\n{"a": 2}\n', "a.json", "jsonl"),
        ('{"a": 1}\n', "a.ndjson", "jsonl"),
        ('{"a": 1}\n', "a", "json"),
        ('{"a": 1', "a.json", "json"),
        ("[INFO] started\n[INFO] ready\n", "a.log", "text"),
        ("[link](x) and {braces}", "a", "text"),
        ("{braces} first", "a.txt", "text"),
        ("a,b,c\n1,2,3\n4,5,6\n", "a.txt", "csv"),
        ("a;b\n1;2\n3;4\n", "a", "csv"),
        ("a\tb\n1\t2\n3\t4\n", "a", "tsv"),
        ("a\tb\n1\t2\n3\t4\n", "export.xls", "tsv"),
        ("a,b\n1,2\n3,4\n", "export.xlsx", "csv"),
        ("Only words,\nno table.\n", "a.xls", "text"),
        ("sep=;\na;b\n1;2\n", "a.txt", "csv"),
        ("one column\n1\n2\n", "a.csv", "csv"),
        ("Roses are red,\nViolets are blue,\nSugar is sweet,\n", "poem.txt", "text"),
        ("Dear Ann, I came\nto see, but you\nwere out, and so\n", "a", "text"),
        ("a,b\n1,2\n3,4\n", "a.md", "markdown"),
        ("print('x')\n", "a.py", "code"),
        ("# Looks like Markdown", "a.txt", "text"),
        ("Hello".encode("utf-16"), "a", "text"),
        ('{"a": "ü"}'.encode("utf-16"), "a", "json"),
        ("a,b\n1,ü\n3,4\n".encode("cp1252"), "a", "csv"),
        ("x", "con", "text"),
    ],
)
def test_the_content_decides(put: Put, data: str | bytes, name: str, expected: str) -> None:
    assert detect(put(data, name)) == expected


@pytest.mark.parametrize(
    ("data", "name", "mime", "expected"),
    [
        ("# Title\n", "readme", "text/markdown; charset=utf-8", "markdown"),
        ("Before <b>all</b>", "page", "text/html", "html"),
        ("x", "a.txt", "text/markdown", "text"),
        ("Hello <b>you</b>", "https://x.example/page.php", "text/html", "html"),
        ("a,b\n1,2\n", "https://x.example/export.php?to=2026", "text/csv", "csv"),
        ("<?php echo 1;", "https://x.example/page.php", "text/plain", "code"),
        ("# Title\n", "https://x.example/readme.md", "text/plain", "markdown"),
        ("one column\n1\n", "https://x.example/x.csv?a=1", "", "csv"),
        ("one column\n1\n", "https://x.example/x.csv#a.b", "application/vnd.ms-excel", "csv"),
        ("Hello you", "https://example.pl", "", "text"),
        ("Hello you", "https://example.org/?file=a.py", "", "text"),
        ("%PDF-1.7\n…", "https://x.example/get.php", "text/html", "pdf"),
    ],
)
def test_a_mime_type_decides_what_neither_content_nor_name_says(
    put: Put, data: str, name: str, mime: str, expected: str
) -> None:
    assert detect(replace(put(data, name), mime=mime)) == expected


@pytest.mark.parametrize(
    ("name", "mime", "expected"),
    [
        ("readme", "text/markdown", "markdown"),
        ("readme.md", "text/markdown", ""),
        ("readme.md", "text/html", ""),
        ("https://x.example/readme.md", "text/html", "html"),
        ("readme", "application/octet-stream", ""),
    ],
)
def test_a_mime_type_declares_what_the_name_does_not_say(put: Put, name: str, mime: str, expected: str) -> None:
    assert declared(replace(put("x", name), mime=mime)) == expected


def test_long_files_are_told_by_their_beginning(put: Put) -> None:
    rows = [{"id": n, "text": "some words " * 5} for n in range(5000)]
    assert detect(put(json.dumps(rows), "x")) == "json"
    assert detect(put(json.dumps({"text": "long " * 50_000}), "x")) == "json"
    assert detect(put("\n".join(map(json.dumps, rows)), "x")) == "jsonl"
    assert detect(put("id,text\n" + "".join(f"{n},some ü words\n" for n in range(9000)), "x")) == "csv"
    assert detect(put("ü" * 100_000, "x")) == "text"
    assert detect(put("知" * 65_536, "x")) == "text"
    assert detect(put(" " * 70_000 + "text", "x")) == "text"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (archive("xl/workbook.bin"), "save it as XLSX"),
        (archive("mimetype", "content.xml"), "OpenDocument"),
        (ole({"PowerPoint Document": b"x"}), "save it as PPTX"),
        (archive("holiday.jpg"), "ZIP"),
        (b"8BPS\0\1" + bytes(6) + b"\0\3" + bytes(40), "Photoshop"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000), "Office"),
        (bytes(range(256)), "unknown kind"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_can(put: Put, data: bytes, words: str) -> None:
    with pytest.raises(LoaderError, match=words) as caught:
        detect(put(data, "file.pdf"))
    assert caught.value.failure is Failure.UNKNOWN
    assert "Markdown" in caught.value.message


def test_a_protected_office_file_is_encrypted(put: Put) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(99)
    with pytest.raises(LoaderError) as caught:
        detect(put(data, "a.docx"))
    assert caught.value.failure is Failure.ENCRYPTED


def test_a_protected_document_of_newer_office_programs_is_encrypted(put: Put) -> None:
    kind = "application/vnd.oasis.opendocument.text"
    locked = put(package({"META-INF/manifest.xml": "<m/>", "encrypted-package": "x"}, kind), "a.odt")
    for read in (lambda: detect(locked), lambda: list(loader("odt").load(locked, {}))):
        with pytest.raises(LoaderError, match="password") as caught:
            read()
        assert caught.value.failure is Failure.ENCRYPTED


def test_a_declared_kind_that_unpacks_to_a_bomb_takes_no_memory(put: Put) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("mimetype", b"application/vnd.oasis.opendocument.text" + b" " * 64 * 1024 * 1024)
        packed.writestr("content.xml", "<a/>")
    bomb = put(held.getvalue(), "a")
    del held
    tracemalloc.start()
    try:
        assert detect(bomb) == "odt"
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        ("", "<!-- a -->\n", "words"),
        ("<?xml version='1.0'?>", "<!---->", "<!-- open"),
        ("", "<!-- a ", "-->"),
        ("", " \n\t", "x"),
        ("", "1 \n", "x"),
        ("A: b\n", "    c\n", "words"),
        ("A: b\nC: d\n", " \t \n", "words"),
        ("", "A: b\n", "words"),
        ("A: b\n\n", "%PDF-", "x"),
        ("Content-Type: application/pdf\n", " \n", "x%PDF-"),
    ],
)
def test_detection_takes_time_by_the_length_of_what_is_repeated(put: Put, start: str, repeated: str, end: str) -> None:
    """Any work that doubles with each repetition, or grows with their square for each line, would not end here."""
    for count in (40, 64 * 1024 // len(repeated)):
        assert detect(put(start + repeated * count + end, "a")) in ("text", "eml", "xml", "html")


def test_a_broken_archive_is_corrupt(put: Put) -> None:
    with pytest.raises(LoaderError) as caught:
        detect(put(archive("holiday.jpg")[:30], "a"))
    assert caught.value.failure is Failure.CORRUPT
    assert detect(put(archive("word/document.xml")[:-30], "a")) == "docx"
