"""Datasets by the command line: made, filled from files, documents and rated answers, accepted, written, removed."""

import csv
import json
from pathlib import Path

import httpx
import pytest

from service.cli import main
from service.cli.flows import answer_flow
from service.cli.folder import KEY
from tests.service.cli.conftest import Up, ragstone

LEAVE = {
    "input": "How many days of leave?",
    "output": "30 days",
    "sources": [{"source": "leave.md"}],
    "metadata": {"topic": "leave"},
    "draft": False,
}
DRAFT = {"input": "Who is Anna?", "output": "", "sources": [], "metadata": {}, "draft": True}


def lines(file: Path, *rows: object) -> Path:
    """A file of JSON Lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_rows_go_in_from_files_and_out_as_they_were(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    rows = lines(tmp_path / "Handbook.jsonl", LEAVE, DRAFT)
    done = ragstone("dataset", "import", rows, *here, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["name"], made["created"]) == ("Handbook", 2)

    out = tmp_path / "out.csv"
    assert ragstone("dataset", "export", "Handbook", out, *here).returncode == 0
    with out.open(newline="") as stream:
        assert next(csv.reader(stream)) == ["input", "output", "sources", "metadata", "draft"]
    again = ragstone("dataset", "import", out, "--dataset", "Again", *here)
    assert again.returncode == 0, again.stderr
    written = ragstone("dataset", "export", "Again", *here)
    assert [json.loads(line) for line in written.stdout.splitlines()] == [LEAVE, DRAFT]
    accepted = ragstone("dataset", "export", made["id"], "--accepted", *here)
    assert [json.loads(line) for line in accepted.stdout.splitlines()] == [LEAVE]

    listed = {item["name"]: item["rowCount"] for item in json.loads(ragstone("dataset", "ls", *here, "--json").stdout)}
    assert (listed["Handbook"], listed["Again"]) == (2, 2)
    shown = ragstone("dataset", "show", "Handbook", *here)
    assert all(text in shown.stdout for text in ("How many days of leave?", "30 days", "leave.md", "draft"))
    few = ragstone("dataset", "show", "Handbook", "--limit", "1", *here)
    assert ("Who is Anna?" in few.stdout, "1 more" in few.stderr) == (False, True)

    assert ragstone("dataset", "rm", "Again", *here).returncode == 0
    gone = ragstone("dataset", "show", "Again", *here)
    assert (gone.returncode, gone.stderr) == (
        1,
        "ragstone: there is no dataset 'Again'; `ragstone dataset ls` lists what there is\n",
    )


def test_a_file_that_cannot_be_read_leaves_nothing_behind(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    broken = tmp_path / "Broken.csv"
    broken.write_text("How many days?,30\nno answer\n")
    done = ragstone("dataset", "import", broken, *here)
    assert done.returncode == 1
    assert "Broken.csv: row 2: has one column" in done.stderr
    assert "Broken" not in ragstone("dataset", "ls", *here).stdout
    assert ragstone("dataset", "new", "Kept", "--description", "of mine", *here).returncode == 0
    assert ragstone("dataset", "import", broken, "--dataset", "Kept", *here).returncode == 1
    (kept,) = [item for item in json.loads(ragstone("dataset", "ls", *here, "--json").stdout) if item["name"] == "Kept"]
    assert (kept["rowCount"], kept["description"]) == (0, "of mine")


def test_headers_are_looked_for_unless_somebody_says(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    file = tmp_path / "plain.csv"
    for text, options, first in (
        ('\ufeff"Question", "Answer"\nWhy?,So\n', (), "Why?"),
        ("Why?,So\n", (), "Why?"),
        ("Frage,Antwort\nWhy?,So\n", ("--headers",), "Why?"),
        ("Input,Output\nWhy?,So\n", ("--no-headers",), "Input"),
    ):
        file.write_text(text, "utf-8")
        assert ragstone("dataset", "import", file, *options, *here).returncode == 0
        shown = json.loads(ragstone("dataset", "show", "plain", *here, "--json").stdout)
        assert shown["rows"][0]["input"] == first
        assert ragstone("dataset", "rm", "plain", *here).returncode == 0


def test_questions_are_drafted_and_wait_to_be_accepted(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    note = tmp_path / "canteen.md"
    note.write_text("# Canteen\n\nThe canteen of the main building opens at noon and closes at three in the afternoon.")
    assert ragstone("ingest", note, "--store", "Canteen", *here).returncode == 0
    done = ragstone("dataset", "draft", "Lunch", "--store", "Canteen", "--gold", "source", *here)
    assert done.returncode == 0, done.stderr
    assert "They are drafts" in done.stderr
    (row,) = json.loads(ragstone("dataset", "show", "Lunch", "--drafts", *here, "--json").stdout)["rows"]
    assert row["sources"] == [{"source": "canteen.md"}]
    assert (
        ragstone("dataset", "import", lines(tmp_path / "x.jsonl", DRAFT), "--dataset", "Lunch", *here).returncode == 0
    )

    unknown = ragstone("dataset", "accept", "Lunch", "7", *here)
    assert (unknown.returncode, unknown.stderr) == (1, "ragstone: Lunch has no draft number 7\n")
    assert ragstone("dataset", "accept", "Lunch", "first", *here).returncode == 2
    one = ragstone("dataset", "accept", "Lunch", str(row["sequenceNo"]), *here)
    assert (one.returncode, one.stderr) == (0, "1 accepted.\n")
    rest = json.loads(ragstone("dataset", "accept", "Lunch", *here, "--json").stdout)
    assert (rest["accepted"], rest["left"]) == (0, 1)
    by_id = json.loads(ragstone("dataset", "accept", "Lunch", row["id"], *here, "--json").stdout)
    assert by_id["accepted"] == 0

    missing = ragstone("dataset", "draft", "Never", "--store", "Nowhere", *here)
    assert (missing.returncode, missing.stderr) == (
        1,
        "ragstone: there is no document store 'Nowhere'; `ragstone store list` lists what there is\n",
    )
    assert "Never" not in ragstone("dataset", "ls", *here).stdout


def test_rated_answers_become_rows_once(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    note = tmp_path / "parking.txt"
    note.write_text("Visitors park behind the gatehouse.")
    made = json.loads(ragstone("ingest", note, "--store", "Parking", *here, "--json").stdout)
    file = tmp_path / "Gate.json"
    file.write_text(answer_flow(made["storeId"]))
    assert ragstone("flow", "import", file, *here).returncode == 0
    asked = json.loads(ragstone("flow", "run", "Gate", "Where do visitors park?", *here, "--json").stdout)
    (flow,) = [item for item in json.loads(ragstone("flow", "ls", *here, "--json").stdout) if item["name"] == "Gate"]
    body = {"chatflowid": flow["id"], "chatId": asked["chatId"], "messageId": asked["chatMessageId"]}
    key = (service.data / KEY).read_text().strip()
    said = httpx.post(
        f"{service.note.url}/api/v1/feedback",
        json={**body, "rating": "THUMBS_UP", "content": ""},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert said.status_code == 200, said.text

    take = ("dataset", "from-messages", "Heard", "--flow", "Gate", "--gold", "source")
    assert json.loads(ragstone(*take, "--rating", "down", *here, "--json").stdout)["created"] == 0
    assert json.loads(ragstone(*take, "--until", "2001-01-01", *here, "--json").stdout)["created"] == 0
    assert json.loads(ragstone(*take, "--since", "2001-01-01", *here, "--json").stdout)["created"] == 1
    again = ragstone(*take, "--rating", "up", *here)
    assert (again.returncode, "rows of 1 rated answers" in again.stderr) == (0, True)
    (row,) = json.loads(ragstone("dataset", "show", "Heard", *here, "--json").stdout)["rows"]
    assert (row["input"], row["sources"]) == ("Where do visitors park?", [{"source": "parking.txt"}])


@pytest.mark.parametrize(
    "arguments",
    [["import", "nowhere.csv"], ["accept"], ["draft", "X"], ["from-messages", "X"], ["export", "X", "--format", "pdf"]],
)
def test_a_wrong_command_line_is_told_before_anything_is_asked(arguments: list[str], tmp_path: Path) -> None:
    assert main(["dataset", *arguments, "--data", str(tmp_path)]) == 2
