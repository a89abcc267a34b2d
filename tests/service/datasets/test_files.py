"""Rows in files: CSV in Flowise's form and as it lies on disks, JSON Lines, and what an export writes."""

import csv
import io
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets import files
from service.datasets.files import File, csv_rows, data_files, jsonl_rows
from service.errors import Unprocessable
from tests.service.datasets.conftest import API, Desk, data_uri

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
QUESTIONS = TEXTS.filter(lambda text: bool(text.strip()))


def written(rows: list[list[str]], **options: Any) -> str:
    """Rows as the csv module writes them."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, **options).writerows(rows)
    return buffer.getvalue()


@given(
    rows=st.lists(st.tuples(QUESTIONS, TEXTS), min_size=1, max_size=8), headers=st.booleans(), parts=st.integers(1, 3)
)
def test_any_csv_is_read_as_it_was_written(rows: list[tuple[str, str]], headers: bool, parts: int) -> None:
    cut = [rows[number::parts] for number in range(parts)]
    head = [["input", "output"]] if headers else []
    uris = [
        data_uri(b"\xef\xbb\xbf" + written(head + [list(row) for row in part]).encode(), f"{number}.csv")
        for number, part in enumerate(cut)
    ]
    found = csv_rows(data_files(json.dumps(uris)), headers=headers)
    assert [(row.input, row.output) for row in found] == [row for part in cut for row in part]


@given(content=st.binary(max_size=200), headers=st.booleans())
def test_whatever_the_bytes_they_are_rows_or_refused_by_name(content: bytes, headers: bool) -> None:
    for name, read in (("a.csv", csv_rows), ("a.jsonl", lambda given, headers: jsonl_rows(given))):
        try:
            rows = read([File(name, content)], headers=headers)
        except Unprocessable as error:
            assert error.message.startswith(f"{name}: ")  # noqa: PT017 - most are rows or refused
        else:
            assert all(row.input.strip() for row in rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_csv_is_read_in_its_encoding(encoding: str) -> None:
    text = "Wie viele Urlaubstage bekomme ich für das Jahr?,Dreißig Tage über alles – für jede Kollegin\n"
    (row,) = csv_rows([File("a.csv", text.encode(encoding))], headers=False)
    assert f"{row.input},{row.output}\n" == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("q,a\nalone\n", "row 2: has one column"),
        ("q;a\n", "separated by commas"),
        ('q,a\n"q,a\n', "row 2: a quote is not closed"),
        ('q,a\n"q"x,a\n', "row 2: "),
        ("q,a\n ,a\n", "row 2: input: "),
        ("q,a\nq\0,a\n", "row 2: input: "),
        ("q,a\nq," + "a" * 100_001, "row 2: output: "),
        ("q,a\nq," + "a" * 200_000, "row 2: a column has more than"),
        ("", "holds no rows"),
        ("\n\n,\n", "holds no rows"),
    ],
)
def test_what_is_wrong_with_a_csv_is_named_by_file_and_row(text: str, told: str) -> None:
    csv.field_size_limit(10_000_000)  # whatever others in this process have set
    with pytest.raises(Unprocessable) as raised:
        csv_rows([File("my.csv", text.encode())], headers=False)
    assert raised.value.message.startswith("my.csv: ")
    assert told in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "q,a",
        "data:text/csv,q,a",
        "data:text/csv;base64,",
        "data:text/csv;base64,@@@,filename:a",
        "[]",
        "[7]",
        "[",
        '["q"]',
    ],
)
def test_what_is_no_data_uri_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable, match=r"^csvFile"):
        data_files(text)


def test_of_several_files_with_headers_only_headers_are_skipped() -> None:
    parts = [
        File("a.csv", b"input,output\nq1,a1\n"),
        File("b.csv", b"input,output\nq2,a2\n"),
        File("c.csv", b"q3,a3\n"),
    ]
    assert [row.input for row in csv_rows(parts, headers=True)] == ["q1", "q2", "q3"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is no JSON"),
        ("[]", "valid dictionary"),
        ("{}", "input: "),
        ('{"input": ""}', "input: "),
        ('{"input": 7}', "input: "),
        ('{"input": "q", "sources": [{}]}', "sources"),
        ('{"input": "q", "sources": [{"chunkId": "x"}]}', "sources"),
        ('{"input": "q", "metadata": []}', "metadata"),
        ('{"input": "q", "metadata": {"a": NaN}}', "metadata.a"),
        ('{"input": "q\\ud800"}', "input"),
    ],
)
def test_what_is_wrong_with_json_lines_is_named_by_file_and_row(line: str, told: str) -> None:
    with pytest.raises(Unprocessable) as raised:
        jsonl_rows([File("my.jsonl", f'{{"input": "q"}}\n\n{line}\n'.encode())])
    assert raised.value.message.startswith("my.jsonl: row 3: ")
    assert told in raised.value.message


LINES = (
    '{"input": "=1+1?", "output": "Two\\r\\nlines, \\"quoted\\"", "sources": ["handbook.md", {"quote": "30 days"}]}\n'
    '{"input": "Draft?", "metadata": {"topic": {"a": [1, null]}}, "draft": true}\n'
)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
async def test_an_export_is_read_back_as_it_was(desk: Desk, kind: str) -> None:
    dataset, copy = await desk.dataset(), await desk.dataset("copy")
    sent = await desk.client.post(
        f"{API}/set/{dataset}/import", content=LINES, headers={"Content-Type": "application/jsonl"}
    )
    assert sent.json() == {"message": "2 rows added", "created": 2}
    exported = await desk.client.get(f"{API}/set/{dataset}/export", params={"format": kind})
    assert exported.headers["content-disposition"].endswith(f'.{kind}"')
    read = await desk.client.post(
        f"{API}/set/{copy}/import",
        files=[("files", (f"rows.{kind}", exported.content))],
        data={"firstRowHeaders": "true"},
    )
    assert read.status_code == 200, read.text

    async def held(of: str) -> list[dict[str, Any]]:
        rows = (await desk.read(of))["rows"]
        return [
            {key: row[key] for key in ("input", "output", "sources", "metadata", "draft", "sequenceNo")} for row in rows
        ]

    assert await held(copy) == await held(dataset)
    assert (await held(dataset))[0]["sources"] == [{"source": "handbook.md"}, {"quote": "30 days"}]


async def test_a_spreadsheet_takes_no_text_for_a_formula(desk: Desk) -> None:
    dataset = await desk.dataset()
    await desk.row(dataset, "=HYPERLINK(1)", "-1")
    path = f"{API}/set/{dataset}/export"
    plain = (await desk.client.get(path, params={"format": "csv"})).text
    safe = (await desk.client.get(path, params={"format": "csv", "spreadsheet": True})).text
    assert '"=HYPERLINK(1)","-1"' in plain
    assert '"\'=HYPERLINK(1)","\'-1"' in safe


async def test_rows_are_imported_from_a_form_a_body_and_json_all_or_none(desk: Desk) -> None:
    dataset = await desk.dataset()
    path = f"{API}/set/{dataset}/import"

    async def send(**request: Any) -> httpx.Response:
        return await desk.client.post(path, **request)

    several = [
        ("files", ("a.csv", b"q1,a1\n")),
        ("files", ("b.jsonl", b'{"input": "q2"}')),
        ("files", ("c.csv", b"q3,a3")),
    ]
    assert (await send(files=several)).json()["created"] == 3
    assert (await send(content=b"q4,a4\n", headers={"Content-Type": "text/csv"})).json()["created"] == 1
    body = {
        "rows": [{"input": "q5", "sources": ["a.md"]}],
        "csvFile": data_uri("q6,a6"),
        "jsonlFile": '{"input": "q7"}',
    }
    assert (await send(json=body)).json()["created"] == 3
    broken = [("files", ("a.csv", b"q8,a8\n")), ("files", ("b.jsonl", b'{"input": "q9"}\n{"input": 9}'))]
    refused = await send(files=broken)
    assert (refused.status_code, "b.jsonl: row 2: input" in refused.json()["message"]) == (422, True)
    assert (await send(files=[("other", ("a.csv", b"q,a"))])).status_code == 400
    assert (await send(json={})).status_code == 412
    unknown = await desk.client.post(f"{API}/set/{uuid4()}/import", files=several)
    assert unknown.status_code == 404
    assert [question for _, question in await desk.numbers(dataset)] == [f"q{number}" for number in range(1, 8)]


def test_a_file_is_known_by_its_name_or_its_beginning() -> None:
    assert files.is_jsonl(File("a.ndjson", b""))
    assert files.is_jsonl(File("a", b' {"input": "q"}'))
    assert not files.is_jsonl(File("a.csv", b'{"input"'))
    assert not files.is_jsonl(File("a", b"q,a"))
