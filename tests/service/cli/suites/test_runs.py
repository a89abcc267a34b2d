"""Suites against a service as `ragstone up` runs it: what passes, what fails, what is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from service.cli import main
from service.cli.client import Client, connect
from tests.service.agentflows import flows as agentflows
from tests.service.cli.conftest import PATIENCE, Up, alive, environment, eventually, ragstone
from tests.service.cli.suites.making import folder

NOTES = {
    "opening.md": "# Opening hours\n\nThe harbour office opens at nine.",
    "closing.md": "# Closing hours\n\nThe harbour office closes at five.",
    "canteen.md": "# Canteen\n\nLunch costs four pounds and is served from noon.",
    "parking.md": "# Parking\n\nVisitors park behind the boatyard.",
    "library.md": "# Library\n\nThe library lends books for three weeks.",
    "badges.md": "# Badges\n\nA lost badge is reported to reception.",
    "showers.md": "# Showers\n\nThe showers are in the basement.",
}
QUESTIONS = [
    ("When does the harbour office open?", "At nine.", "opening.md"),
    ("When does the harbour office close?", "At five.", "closing.md"),
    ("What does lunch cost in the canteen?", "Four pounds.", "canteen.md"),
    ("Where do visitors park?", "Behind the boatyard.", "parking.md"),
    ("For how long does the library lend books?", "Three weeks.", "library.md"),
    ("To whom do I report a lost badge?", "To reception.", "badges.md"),
    ("Where are the showers?", "In the basement.", "showers.md"),
]


def rows(questions: list[tuple[str, str, str]]) -> str:
    """A dataset's file."""
    return "".join(
        json.dumps({"input": asked, "output": answer, "sources": [source]}) + "\n"
        for asked, answer, source in questions
    )


def harbour(place: Path, name: str, **changes: Any) -> Path:
    """A suite over the notes of the harbour office, with a document store and a dataset of its own."""
    place.mkdir(exist_ok=True)
    suite: dict[str, Any] = {
        "name": name,
        "document_stores": [{"name": name, "files": "notes"}],
        "targets": [{"label": "retrieval", "document_store": name, "options": {"topK": 3}}],
        "metrics": ["recall@3", "mrr"],
        "thresholds": [{"metric": "recall@3", "fail_under": 1.0}],
    }
    file = folder(place, rows(QUESTIONS), **{**suite, **changes})
    (place / "notes" / "a.md").unlink()
    for note, text in NOTES.items():
        (place / "notes" / note).write_text(text)
    return file


class Ran:
    """A suite that was run in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], service: Up, file: Path, *options: str | Path) -> None:
        """Run it, for programs."""
        self.code = main(["eval", "run", str(file), "--data", str(service.data), "--json", *map(str, options)])
        shown = capsys.readouterr()
        self.err = shown.err
        self.result: dict[str, Any] = json.loads(shown.out) if shown.out else {}

    def mean(self, target: str, label: str) -> float:
        """A figure."""
        return float(self.result["targets"][target][label]["mean"])

    @property
    def reasons(self) -> list[str]:
        """Why it failed."""
        return [check["reason"] for check in self.result["checks"] if check["result"] == "failed"]


def test_a_suite_passes_and_passes_again_as_the_next_version(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = harbour(tmp_path, "Passing", targets=[
        {"label": "retrieval", "document_store": "Passing", "options": {"topK": 3}}, {"answers_from": "Passing"},
    ], metrics=["recall@3", "tokenF1"], thresholds=[
        {"metric": "recall@3", "fail_under": 1.0, "target": "retrieval"},
        {"metric": "tokenF1", "fail_under": 0.2, "target": "Passing"},
    ])  # fmt: skip
    first = Ran(capsys, service, file, "--save", tmp_path / "run.json", "--junit", tmp_path / "junit.xml")
    assert (first.code, first.reasons, first.err) == (0, [], "")
    assert (first.result["passed"], first.result["cases"], first.result["version"]) == (True, 14, 1)
    read = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (read.tests, read.failures, read.errors) == (3, 0, 0)
    again = Ran(capsys, service, file, "--baseline", tmp_path / "run.json")
    assert (again.code, again.result["version"]) == (0, 2)
    told = {(check["target"], check["measure"]): check["found"] for check in again.result["checks"][3:]}
    assert set(told) == {("retrieval", "recall@3"), ("Passing", "recall@3"), ("Passing", "tokenF1")}
    assert all(found.endswith("equal") for found in told.values())
    with connect(service.data, None, None) as client:  # nothing was made twice
        assert [store["name"] for store in client.get("/document-store/store")].count("Passing") == 1
        assert [item["name"] for item in client.get("/datasets")].count("Passing") == 1
        assert [flow["name"] for flow in client.get("/chatflows")].count("Passing: Passing") == 1


def test_what_was_changed_in_the_files_is_changed_on_the_service(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = harbour(tmp_path, "Changing")
    assert Ran(capsys, service, file).code == 0
    with connect(service.data, None, None) as client:
        (dataset,) = [item for item in client.get("/datasets") if item["name"] == "Changing"]
        before = {row["input"]: row["id"] for row in client.get(f"/datasets/set/{dataset['id']}")["rows"]}
    (tmp_path / "notes" / "showers.md").unlink()
    (tmp_path / "notes" / "canteen.md").write_text("# Canteen\n\nLunch costs six pounds.")
    changed = [QUESTIONS[2], QUESTIONS[0], ("What is new?", "Nothing.", "opening.md")]
    (tmp_path / "rows.jsonl").write_text(rows(changed))
    ran = Ran(capsys, service, file, "--fail-under", "recall@3=0.1")
    assert ran.result["cases"] == 3
    with connect(service.data, None, None) as client:
        store = client.store("Changing")
        assert store is not None
        names = {item["name"] for item in client.get(f"/document-store/documents/{store['id']}")}
        after = client.get(f"/datasets/set/{dataset['id']}")["rows"]
        client.send("DELETE", f"/document-store/documents/{store['id']}/{document_of(client, store, 'badges.md')}")
        assert Ran(capsys, service, file, "--fail-under", "recall@3=0.1").result["cases"] == 3
        assert document_of(client, store, "badges.md")  # what somebody took out is in again
    assert names == set(NOTES) - {"showers.md"}
    assert [row["input"] for row in after] == [asked for asked, _, _ in changed]
    assert [before.get(row["input"]) == row["id"] for row in after] == [True, True, False]
    small = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 200, "chunkOverlap": 0}}
    stores = [{"name": "Changing", "files": ["notes"], "splitter": small}]
    assert Ran(capsys, service, harbour(tmp_path, "Changing", document_stores=stores)).code == 0
    with connect(service.data, None, None) as client:
        anew = client.store("Changing")
    assert anew is not None
    assert anew["id"] != store["id"]
    assert anew["loaders"][0]["splitterConfig"]["chunkSize"] == 200


def document_of(client: Client, store: Mapping[str, Any], name: str) -> str:
    """The id of a document."""
    documents = client.get(f"/document-store/documents/{store['id']}")
    return str(next(item["id"] for item in documents if item["name"] == name))


def test_a_threshold_that_is_missed_fails_and_says_so(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = harbour(tmp_path, "Missing")
    junit = tmp_path / "junit.xml"
    ran = Ran(capsys, service, file, "--fail-under", "retrieval:mrr=1.1", "--junit", junit)
    assert (ran.code, ran.result["passed"]) == (1, False)
    assert ran.reasons[0].startswith("mrr@10 of 'retrieval' is ")
    assert JUnitXml.fromfile(str(junit)).failures == 1
    silent = Ran(capsys, service, file, "--fail-under", "tokenF1=0.1")
    assert silent.code == 1
    assert "tokenF1 applies to no case of 'retrieval': nothing was asked for but passages" in silent.reasons[0]


def test_retrieval_that_breaks_is_found_out_by_the_baseline(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = harbour(tmp_path, "Breaking", thresholds=None)
    good = Ran(capsys, service, file, "--save", tmp_path / "good.json")
    assert (good.code, good.mean("retrieval", "recall@3")) == (0, 1.0)
    names = list(NOTES)
    for note, other in zip(names, [*names[1:], names[0]], strict=True):  # every text under another's name
        (tmp_path / "notes" / note).write_text(NOTES[other])
    targets = [{"label": "retrieval", "document_store": "Breaking", "options": {"topK": 1}}]
    broken = harbour_as_it_is(tmp_path, file, targets)
    bad = Ran(capsys, service, broken, "--baseline", tmp_path / "good.json")
    assert bad.code == 1
    assert bad.mean("retrieval", "recall@3") < 0.5
    assert any("recall@3 of 'retrieval' is worse than in the baseline: 1.0000 →" in reason for reason in bad.reasons)


def harbour_as_it_is(place: Path, file: Path, targets: list[dict[str, Any]]) -> Path:
    """The suite with other targets, over the notes as they are now."""
    texts = {path: path.read_text() for path in (place / "notes").iterdir()}
    name = file.read_text().partition("name: Breaking")[1].removeprefix("name: ")
    made = harbour(place, name, thresholds=None, targets=targets)
    for path, text in texts.items():
        path.write_text(text)
    return made


def answering(place: Path, answer: str) -> None:
    """An exported agentflow that always says the same."""
    says = agentflows.node("reply", "directReply", directReplyMessage=answer)
    (place / "flow.json").write_text(agentflows.chain(says))


def test_a_flow_that_answers_nonsense_fails(service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = harbour(
        tmp_path, "Answering", document_stores=None, metrics=["tokenF1"],
        targets=[{"label": "bot", "flow_file": "flow.json"}],
        evaluators=[{"name": "Says when", "type": "text", "operator": "ContainsAny", "value": "nine, five"}],
        thresholds=[{"metric": "tokenF1", "fail_under": 0.1}, {"metric": "Says when", "fail_under": 0.9}],
    )  # fmt: skip
    answering(tmp_path, "Between nine and five, in the basement.")
    good = Ran(capsys, service, file)
    assert (good.code, good.reasons) == (0, [])
    assert good.mean("bot", "Says when") == 1.0
    answering(tmp_path, "Bananas.")
    bad = Ran(capsys, service, file)
    assert (bad.code, bad.result["version"]) == (1, 2)
    assert [reason.partition(" is ")[0] for reason in bad.reasons] == ["tokenF1 of 'bot'", "Says when of 'bot'"]
    with connect(service.data, None, None) as client:
        assert [item["name"] for item in client.get("/evaluators")].count("Says when") == 1
        assert [flow["name"] for flow in client.get("/chatflows")].count("Answering: bot") == 1


def test_cases_with_errors_fail_unless_so_many_are_allowed(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = agentflows.node("call", "http", method="GET", url="http://127.0.0.1:9/")
    changes: dict[str, Any] = {
        "document_stores": None, "metrics": ["latency"], "thresholds": None, "retries": 0,
        "targets": [{"label": "bot", "flow_file": "flow.json"}],
    }  # fmt: skip
    file = harbour(tmp_path, "Failing", **changes)
    (tmp_path / "flow.json").write_text(agentflows.chain(calls))
    ran = Ran(capsys, service, file, "--junit", tmp_path / "junit.xml")
    assert (ran.code, ran.result["errors"]) == (1, 7)
    assert ran.reasons[0].startswith("7 cases have an error, such as 'bot' asked ")
    assert JUnitXml.fromfile(str(tmp_path / "junit.xml")).errors == 7
    allowed = Ran(capsys, service, harbour(tmp_path, "Failing", **changes, max_errors=7))
    assert (allowed.code, allowed.result["errors"]) == (0, 7)
    assert main(["jobs", "list", "--state", "done", "--limit", "1", "--data", str(service.data)]) == 0
    assert "7 of 7 cases have an error" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"document_stores": None}, "there is no document store 'Wrong'"),
        ({"dataset": {"name": "Nobody's"}}, 'dataset.name: there is no dataset "Nobody\'s"'),
        ({"targets": [{"flow": "Nobody"}]}, "targets[0].flow: there is no chatflow 'Nobody'"),
        ({"evaluators": ["Nobody"]}, "evaluators[0]: there is no evaluator 'Nobody'"),
        ({"evaluators": [{"name": "x", "type": "text", "operator": "Perhaps"}]}, "evaluators[0]: operator"),
        ({"targets": [{"document_store": "Wrong", "options": {"topK": -1}}]}, "topK"),
        ({"metrics": ["faithfulness"]}, "judge: faithfulness: need a chat model"),
        ({"concurrency": 10_000}, "concurrency"),
    ],
)
def test_what_the_service_does_not_take_is_a_mistake_of_the_suite(
    changes: dict[str, Any], said: str, service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = harbour(tmp_path, "Wrong", **changes)
    junit = tmp_path / "junit.xml"
    ran = Ran(capsys, service, file, "--junit", junit)
    assert (ran.code, ran.err.startswith(f"ragstone: {file}: ")) == (2, True), ran.err
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert JUnitXml.fromfile(str(junit)).errors == 1
    with connect(service.data, None, None) as client:
        if store := client.store("Wrong"):
            client.send("DELETE", f"/document-store/store/{store['id']}")


def test_what_somebody_else_made_is_left_as_it_is(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = harbour(tmp_path, "Mine")
    with connect(service.data, None, None) as client:
        store = client.post("/document-store/store", {"name": "Mine", "description": "My notes"})
        ran = Ran(capsys, service, file)
        assert (ran.code, "no suite made" in ran.err) == (2, True)
        client.send("DELETE", f"/document-store/store/{store['id']}")
        client.post("/datasets/set", {"name": "Mine"})
        ran = Ran(capsys, service, file)
        assert (ran.code, "a dataset 'Mine' that no suite made" in ran.err) == (2, True)
        assert client.store("Mine") is None, "nothing is filled before that is known"


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": {"name": "Nobody's"}},
        {"targets": [{"document_store": "Early"}, {"flow": "Nobody"}]},
        {"targets": [{"document_store": "Early"}, {"document_store": "Nobody"}]},
        {"evaluators": ["Nobody"]},
    ],
)
def test_what_is_missing_is_told_before_anything_is_written(
    changes: dict[str, Any], service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Ran(capsys, service, harbour(tmp_path, "Early", **changes))
    assert (ran.code, "there is no" in ran.err) == (2, True), ran.err
    with connect(service.data, None, None) as client:
        assert (client.store("Early"), client.dataset("Early")) == (None, None)


def test_who_cannot_be_asked_is_told_by_the_exit_code(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(harbour(tmp_path, "Asking"))
    nowhere = ["--data", str(tmp_path / "nothing")]
    assert main(["eval", "run", file, "--no-start", *nowhere]) == 3
    assert main(["eval", "run", file, "--url", "http://127.0.0.1:9", "--key", "x"]) == 3
    assert main(["eval", "run", file, "--url", service.note.url, "--key", "wrong"]) == 5
    assert main(["eval", "run", file, "--start", "--data", str(service.data)]) == 4
    assert main(["eval", "run", file, "--start", "--url", service.note.url]) == 2
    assert main(["eval", "run", str(tmp_path / "none.yaml"), *nowhere]) == 2
    assert main(["eval", "run", file, "--baseline", str(tmp_path / "none.json"), *nowhere]) == 2
    assert main(["eval", "run", file, "--junit", str(tmp_path / "none" / "x.xml"), *nowhere]) == 2
    for wrong in ("recall", "recall@5=", "recall@5=high", "recall@5=nan", "=1"):
        assert main(["eval", "run", file, "--fail-under", wrong, *nowhere]) == 2, wrong
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith(("ragstone: ", "Starting a service on ")) for line in lines), lines


def begun(service: Up, file: Path) -> "subprocess.Popen[str]":
    """A long suite, under way."""
    command = [sys.executable, "-m", "service.cli", "eval", "run", str(file), "--data", str(service.data)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True
    )
    assert process.stderr is not None
    while "running: " not in process.stderr.readline():
        assert process.poll() is None
    return process


def latest(service: Up, name: str) -> dict[str, Any]:
    """The newest version of an evaluation."""
    with connect(service.data, None, None) as client:
        found: list[dict[str, Any]] = client.get("/evaluations")
    return next(item for item in found if item["name"] == name and item["latestEval"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_is_cancelled_on_the_service(number: int, service: Up, tmp_path: Path) -> None:
    file = harbour(tmp_path, "Long", repeats=20, concurrency=1)
    (tmp_path / "rows.jsonl").write_text(
        rows([(f"{text} {turn}", a, b) for turn in range(40) for text, a, b in QUESTIONS])
    )
    process = begun(service, file)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "is cancelled on the service" in err) == (1, True), err
    found = eventually(lambda: (item := latest(service, "Long"))["state"] == "cancelled" and item)
    assert found["done"] < found["total"]


def test_the_verbs_read_what_was_run(service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = harbour(tmp_path, "Reading")
    here = ["--data", str(service.data)]
    first, second = Ran(capsys, service, file), Ran(capsys, service, file)
    ids = [ran.result["evaluationId"] for ran in (first, second)]

    def told(*arguments: str) -> str:
        assert main(["eval", *arguments, *here]) == 0
        return " ".join(capsys.readouterr().out.split())

    listed = told("ls")
    assert all(f"{one} Reading" in listed for one in ids)
    assert "7 of 7" in listed
    assert [item["id"] for item in json.loads(told("ls", "--json")) if item["name"] == "Reading"] == ids[::-1]
    assert "recall@3" in told("show", "Reading")
    assert json.loads(told("show", ids[0], "--json"))["version"] == 1
    compared = json.loads(told("compare", ids[0], ids[1], "--json"))
    assert {item["verdict"] for item in compared["targets"][0]["measures"]} == {"equal"}
    assert "recall@3" in told("compare", ids[0], ids[1])
    page = tmp_path / "report.html"
    told("report", "Reading", str(page), "--compare", ids[0])
    assert page.read_text("utf-8").lstrip().startswith("<!")
    for name, mark in (("out.csv", ","), ("out.jsonl", "{")):
        told("export", "Reading", str(tmp_path / name))
        lines = (tmp_path / name).read_text("utf-8").splitlines()
        assert (len(lines) >= 7, mark in lines[0]) == (True, True)
    assert json.loads(told("cancel", ids[0], "--json"))["state"] == "completed"  # it had ended before
    assert main(["eval", "show", "Nobody's", *here]) == 1
    assert 'there is no evaluation "Nobody\'s"' in capsys.readouterr().err


def test_people_are_told_how_it_went(service: Up, tmp_path: Path) -> None:
    done = ragstone("eval", "run", harbour(tmp_path, "Telling"), "--fail-under", "mrr=1.5", "--data", service.data)
    assert done.returncode == 1, done.stderr
    assert "Document store Telling: 7 files" in done.stderr
    assert "Dataset Telling: 7 rows." in done.stderr
    assert "completed: 7 of 7 cases" in done.stderr
    assert "FAILED: mrr@10 of 'retrieval' is " in done.stderr
    assert "recall@3 ≥ 1" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("FAILED: 1 of 3 checks")


def on_a_terminal(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout, and what a terminal as stderr was sent."""
    master, slave = os.openpty()
    command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=slave, text=True, env=environment(TERM="xterm", COLUMNS="200")
    )
    os.close(slave)
    drawn = b""
    with suppress(OSError):  # Linux says so when the last writer has closed
        while piece := os.read(master, 65536):
            drawn += piece
    os.close(master)
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, out, drawn.decode()


def test_a_terminal_shows_how_far_the_documents_are(service: Up, tmp_path: Path) -> None:
    file = harbour(tmp_path, "Drawing [/b]")
    code, out, drawn = on_a_terminal("eval", "run", file, "--data", service.data)
    assert (code, "\x1b" in out) == (0, False), drawn
    assert "Document store Drawing [/b]: reading files" in drawn
    assert re.search(r"Document store Drawing \[/b\]: \w+, \d of 7 files done", drawn)
    assert "Document store Drawing [/b]: 7 files" in drawn
    (tmp_path / "notes" / "showers.md").unlink()
    (tmp_path / "rows.jsonl").write_text(rows(QUESTIONS[:-1]))
    code, out, drawn = on_a_terminal("eval", "run", file, "--data", service.data, "--json")
    assert (code, drawn, json.loads(out)["cases"]) == (0, "", 6)


def test_a_service_of_its_own_ends_with_a_command_that_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = harbour(tmp_path, "Killed", repeats=20, concurrency=1)
    command = [sys.executable, "-m", "service.cli", "eval", "run", str(file), "--data", str(data)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment()) as process:
        started = Up(process, data, "")  # type: ignore[arg-type]  # its output is not read
        eventually(lambda: (data / "service.json").exists() and (data / "cli.key").exists())
        pids = started.pids()
        process.kill()
    eventually(lambda: not any(map(alive, pids)))
