"""The sample handbook: its questions can be answered from its files, and its card is true."""

import csv
import hashlib
import io
import json
import re
import runpy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import pytest
from bs4 import BeautifulSoup
from docx import Document
from docx.table import Table

HANDBOOK = Path(__file__).parents[2] / "datasets" / "handbook"
FILES = sorted(path.name for path in (HANDBOOK / "files").iterdir())
KINDS = {
    "text": 7,
    "number": 6,
    "table": 6,
    "paraphrase": 6,
    "cross": 4,
    "multilingual": 4,
    "follow-up": 2,
    "absent": 5,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One line of questions.jsonl."""

    id: str
    question: str
    answer: str | None
    sources: list[str]
    quotes: list[str]
    kind: str
    language: str
    after: str | None = None
    history: list[dict[str, str]] | None = None


def read_questions() -> list[Question]:
    """All questions, in the order of the file; an unknown field is an error."""
    lines = (HANDBOOK / "questions.jsonl").read_text("utf-8").splitlines()
    return [Question(**json.loads(line)) for line in lines]


QUESTIONS = read_questions()


def squeeze(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def docx_parts(path: Path) -> Iterator[str]:
    """Paragraphs and table cells of a DOCX, in reading order."""
    for part in Document(str(path)).iter_inner_content():
        if isinstance(part, Table):
            yield from (cell.text for row in part.rows for cell in row.cells)
        else:
            yield part.text


def read_text(path: Path) -> str:
    """The text of a file by the simplest means, without Ragstone's own loaders; white space is squeezed."""
    match path.suffix:
        case ".pdf":
            with pypdfium2.PdfDocument(path) as document:
                return squeeze(" ".join(page.get_textpage().get_text_bounded() for page in document))
        case ".docx":
            return squeeze(" ".join(docx_parts(path)))
        case ".html":
            return squeeze(BeautifulSoup(path.read_bytes(), "lxml").get_text(" "))
        case ".csv":
            rows = csv.reader(io.StringIO(path.read_text("utf-8")), strict=True)
            return squeeze(" ".join(cell for row in rows for cell in row))
        case ".jsonl":
            records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            return squeeze(" ".join(json.dumps(record, ensure_ascii=False) for record in records))
        case _:
            return squeeze(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of every file by its name."""
    return {name: read_text(HANDBOOK / "files" / name) for name in FILES}


def test_there_are_forty_questions_with_ids_in_order() -> None:
    assert [question.id for question in QUESTIONS] == [f"hb-{number:02d}" for number in range(1, 41)]
    assert len({question.question for question in QUESTIONS}) == 40


def test_the_kinds_are_mixed_as_the_card_says() -> None:
    assert Counter(question.kind for question in QUESTIONS) == KINDS
    card = (HANDBOOK / "README.md").read_text("utf-8")
    assert {kind: int(count) for kind, count in re.findall(r"^\| `([\w-]+)` \| (\d+) \|", card, re.MULTILINE)} == KINDS


def test_the_first_question_has_a_short_answer_in_one_document() -> None:
    first = QUESTIONS[0]
    assert first.kind == "text"
    assert len(first.sources) == 1
    assert first.answer is not None
    assert len(first.answer) < 160


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_every_quote_stands_in_a_source_and_every_source_is_quoted(question: Question, texts: dict[str, str]) -> None:
    assert set(question.sources) <= set(FILES)
    for quote in question.quotes:
        assert any(quote in texts[source] for source in question.sources), quote
    for source in question.sources:
        assert any(quote in texts[source] for quote in question.quotes), source


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_only_absent_questions_lack_an_answer_and_sources(question: Question) -> None:
    given = (question.answer is not None, bool(question.sources), bool(question.quotes))
    assert given == ((False,) * 3 if question.kind == "absent" else (True,) * 3)
    assert question.language in {"en", "de"}


def test_cross_questions_need_two_documents() -> None:
    assert all(len(question.sources) == 2 for question in QUESTIONS if question.kind == "cross")


def test_follow_ups_name_an_earlier_kind_of_question_and_no_other_does() -> None:
    by_id = {question.id: question for question in QUESTIONS}
    for question in QUESTIONS:
        assert (question.after is not None) == (question.kind == "follow-up")
        if question.after is None:
            assert question.history is None
            continue
        before = by_id[question.after]
        assert before.kind not in {"follow-up", "absent"}
        assert question.history == [
            {"role": "userMessage", "content": before.question},
            {"role": "apiMessage", "content": before.answer},
        ]


def test_every_file_is_asked_about() -> None:
    assert {source for question in QUESTIONS for source in question.sources} == set(FILES)


def test_every_file_holds_between_two_and_ten_kilobytes_of_text(texts: dict[str, str]) -> None:
    assert {name for name, text in texts.items() if not 2_000 <= len(text.encode()) <= 10_000} == set()


def test_the_card_lists_every_file_with_its_sum() -> None:
    card = (HANDBOOK / "README.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([\w.-]+)` \| .* \| `([0-9a-f]{64})` \|$", card, re.MULTILINE))
    assert listed == {name: hashlib.sha256((HANDBOOK / "files" / name).read_bytes()).hexdigest() for name in FILES}


def test_the_made_files_hold_the_text_of_their_sources(tmp_path: Path, texts: dict[str, str]) -> None:
    made: dict[str, bytes] = runpy.run_path(str(HANDBOOK / "make_files.py"))["files"]()
    assert set(made) == {name for name in FILES if name.endswith((".pdf", ".docx"))}
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
        assert read_text(tmp_path / name) == texts[name]


def test_the_folder_of_the_data_is_not_a_package() -> None:
    assert not list(HANDBOOK.parent.rglob("__init__.py"))
