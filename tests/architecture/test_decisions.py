"""The decision records: numbered without gaps, each of the same make, all of them listed."""

import re

import pytest

from tests.architecture.source import ROOT

FOLDER = ROOT / "service" / "decisions"
RECORDS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
SECTIONS = ["Status", "Context", "Decision", "Consequences"]
PATH = re.compile(r"`((?:service|loaders|stores|tests|datasets)/[\w./-]+)`")

MOST_LINES = 60
"""A page."""


def number(name: str) -> int:
    """The number in a record's file name."""
    return int(name[:4])


def test_records_are_numbered_from_one_without_gaps() -> None:
    assert all(re.fullmatch(r"\d{4}-[a-z0-9]+(-[a-z0-9]+)*\.md", path.name) for path in RECORDS)
    assert [number(path.name) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("name", [path.name for path in RECORDS])
def test_a_record_is_a_page_with_its_sections(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    assert text.startswith(f"# {number(name)}. ")
    assert len(text.splitlines()) <= MOST_LINES
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    bodies = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    assert all(body.strip() for body in bodies)
    assert re.match(r"\s*(Accepted|Superseded by \[\d+\]\(\d{4}-)", bodies[0])


@pytest.mark.parametrize("name", [path.name for path in RECORDS])
def test_the_files_that_a_record_in_force_names_exist(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    if "\nSuperseded" not in text:
        assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


def test_the_index_lists_every_record_with_its_title() -> None:
    rows = re.findall(r"^\| (\d+) \| \[(.*)\]\((.*)\) \|$", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    titles = [path.read_text("utf-8").partition("\n")[0].removeprefix("# ").partition(". ")[2] for path in RECORDS]
    wanted = [(str(number(path.name)), title, path.name) for path, title in zip(RECORDS, titles, strict=True)]
    assert rows == wanted
