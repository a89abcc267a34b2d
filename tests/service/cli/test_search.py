"""`ragstone search` with filters, stages and explanations."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.service.cli.conftest import Up, ragstone


@pytest.fixture
def harbour(service: Up, tmp_path: Path) -> Sequence[str | Path]:
    """Two files in a document store: the end of a search of it."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "ferry.txt").write_text("The ferry leaves from pier nine at noon.")
    (folder / "boats.txt").write_text("Rowing boats are lent at pier four.")
    done = ragstone("ingest", folder, "--store", "Harbour", "--data", service.data)
    assert done.returncode == 0, done.stderr
    return ("--store", "Harbour", "--data", service.data)


def test_a_search_is_filtered_and_goes_through_stages(harbour: Sequence[str | Path]) -> None:
    where = ("--where", '{"source": {"$in": ["boats.txt"]}}')
    found = json.loads(ragstone("search", "ferry", *where, *harbour, "--json").stdout)
    assert [doc["metadata"]["source"] for doc in found["docs"]] == ["boats.txt"]
    assert "trace" not in found
    near = ("--retrieval", '[{"name": "similarity"}, {"name": "threshold", "minScore": 0.99}]')
    assert ragstone("search", "ferry", *near, *harbour).stdout == "Nothing was found.\n"
    one = ragstone("search", "ferry pier", "--strategy", "similarity", "-k", "1", *harbour)
    assert one.stdout.startswith("1. ")
    assert "2. " not in one.stdout


def test_an_explanation_shows_every_stage(harbour: Sequence[str | Path]) -> None:
    stages = ("--retrieval", '[{"name": "mmr"}, {"name": "threshold", "minScore": 0.4}]')
    told = ragstone("search", "When does the ferry leave?", *stages, *harbour, "--explain")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    titles = [line.split(",")[0] for line in lines if line.startswith("Stage ")]
    assert titles == ["Stage 1: hybrid", "Stage 2: ledger", "Stage 3: mmr", "Stage 4: threshold"]
    assert "  ? When does the ferry leave?" in lines
    assert "embedding" in told.stdout
    assert any("cosine" in line and "lexical" in line and "mmr" in line and "ferry.txt" in line for line in lines)
    assert any("score below 0.4" in line and "boats.txt" in line for line in lines)
    trace = json.loads(ragstone("search", "ferry", *harbour, "--explain", "--json").stdout)["trace"]
    assert [stage["name"] for stage in trace["stages"]] == ["hybrid", "ledger"]


def test_what_cannot_be_searched_is_said_in_one_line(harbour: Sequence[str | Path]) -> None:
    for option, value, code, told in (
        ("--where", "{", 2, "--where: not valid JSON"),
        ("--retrieval", "[", 2, "--retrieval: not valid JSON"),
        ("--retrieval", "[" * 100_000, 2, "--retrieval: not valid JSON"),
        ("--where", '{"page": %s}' % ("9" * 5000), 2, "--where: not valid JSON"),
        ("--where", '{"page": NaN}', 2, "this cannot be sent"),
        ("--where", '{"page": "\\ud800"}', 2, "this cannot be sent"),
        ("--retrieval", '[{"name": "threshold"}]', 1, "retrieval[0]: give minScore"),
        ("--where", '{"page": {"$regex": "1"}}', 1, "filter.page.$regex"),
        ("--where", '{"page": {"$gt": true}}', 1, "filter.page.$gt"),
        ("--where", '{"$nor": []}', 1, "filter.$nor"),
        ("--retrieval", '[{"name": "mmr", "lambda": 2}]', 1, "retrieval[0].lambda"),
        ("--strategy", "astrology", 1, "hybrid"),
    ):
        done = ragstone("search", "ferry", option, value, *harbour)
        assert (done.returncode, told in done.stderr, done.stderr.count("\n")) == (code, True, 1), done.stderr


@pytest.mark.parametrize("verb", ["search", "ask"])
def test_a_question_that_is_no_text_is_said_in_one_line(verb: str, harbour: Sequence[str | Path]) -> None:
    done = ragstone(verb, "fer\udcffry", *harbour)
    assert (done.returncode, "this cannot be sent" in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr
