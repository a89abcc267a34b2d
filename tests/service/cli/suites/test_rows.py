"""The rows of a dataset's file."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.cli.exits import UsageProblem
from service.cli.suites.rows import key_of, read_rows
from service.cli.suites.suite import Dataset

HANDBOOK = Path(__file__).parents[4] / "datasets" / "handbook" / "questions.jsonl"


def rows(place: Path, text: str, name: str = "rows.jsonl", **changes: Any) -> list[dict[str, Any]]:
    """The rows of a file with this text."""
    (place / name).write_text(text, encoding="utf-8")
    return read_rows(place / name, Dataset.model_validate({"file": name, **changes}))


def test_rows_of_an_export_come_in_as_they_are(tmp_path: Path) -> None:
    row = {
        "input": "Wann öffnet das Büro?", "output": "Um neun.", "draft": True,
        "sources": [{"source": "a.md"}, {"quote": "um neun"}], "metadata": {"topic": "hours"},
    }  # fmt: skip
    assert rows(tmp_path, json.dumps(row, ensure_ascii=False) + "\n\n") == [row]


def test_fields_of_other_names_are_named(tmp_path: Path) -> None:
    fields = {"input": "q", "output": "a", "sources": "docs", "metadata": ["kind", "language"]}
    text = '{"q": "Which?", "a": null, "docs": "a.md", "kind": "absent", "language": "en", "else": 1}'
    assert rows(tmp_path, text, fields=fields, unanswerable={"kind": "absent"}) == [
        {"input": "Which?", "output": "", "sources": [{"source": "a.md"}], "draft": False,
         "metadata": {"kind": "absent", "language": "en", "answerable": False}}
    ]  # fmt: skip


def test_csv_columns_are_named_by_the_first_row(tmp_path: Path) -> None:
    text = '\ufeffinput,output,sources,draft\n"When, exactly?","At ""nine"".\nSharp.","[{""source"": ""a.md""}]",\n'
    text += "B?,2,b.md,true\n"
    found = rows(tmp_path, text, "rows.csv")
    assert [(row["input"], row["output"], row["sources"], row["draft"]) for row in found] == [
        ("When, exactly?", 'At "nine".\nSharp.', [{"source": "a.md"}], False),
        ("B?", "2", [{"source": "b.md"}], True),
    ]


def test_the_handbook_gives_its_rows() -> None:
    wish = {"file": "questions.jsonl", "fields": {"input": "question", "output": "answer", "metadata": ["kind"]}}
    wish |= {"leave_out": {"kind": "follow-up"}, "unanswerable": {"kind": "absent"}}
    found = read_rows(HANDBOOK, Dataset.model_validate(wish))
    assert len(found) == 38
    assert sum(row["metadata"].get("answerable") is False for row in found) == 5
    assert all(bool(row["sources"]) is bool(row["output"]) for row in found)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "rows.jsonl", "holds no rows"),
        ("{", "rows.jsonl", "row 1: is no JSON"),
        ("[1]", "rows.jsonl", "row 1: must be an object"),
        ('{"question": "x"}', "rows.jsonl", "row 1: input: holds no question; the row has question"),
        ('{"input": "x", "output": ["a"]}', "rows.jsonl", "row 1: output: must be a text"),
        ('{"input": "x", "sources": [{"file": "a"}]}', "rows.jsonl", "row 1: sources: a source is a text, or"),
        ('{"input": "x", "draft": "perhaps"}', "rows.jsonl", "row 1: draft: must be true or false"),
        ('{"input": "x", "metadata": "y"}', "rows.jsonl", "row 1: metadata: must be an object"),
        ("input,output\na,b,c\n", "rows.csv", "row 2: has 3 columns, and the first row names 2"),
        ('input,output\n"a,b\n', "rows.csv", "row 2: "),
    ],
)
def test_what_cannot_be_read_is_told_with_its_row(text: str, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        rows(tmp_path, text, name)
    assert f"{name}: {said}" in str(caught.value)


def test_a_row_is_known_by_what_it_says_and_equal_ones_by_their_number() -> None:
    seen: dict[str, int] = {}
    first = key_of("A?", "a", [{"source": "x"}, {"source": "y"}], seen)
    assert key_of("A?", "a", [{"source": "y"}, {"source": "x"}], {}) == first
    assert key_of("A?", "a", [{"source": "y"}, {"source": "x"}], seen) == f"{first}-2"
    assert key_of("A?", "b", [{"source": "x"}, {"source": "y"}], {}) != first
