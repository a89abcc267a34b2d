"""Sweeps by the command line, over a socket, with a service of real processes."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.folder import KEY
from tests.service.cli.conftest import Up, environment, eventually, ragstone

TOPICS = ("Leave", "Pension", "Travel")


def page(topic: str) -> str:
    """A page with a fact, and with much beside it."""
    filler = " ".join(f"Of {topic.lower()} much more could be said, part {number}." for number in range(25))
    return f"# {topic}\n\nThe office of {topic} has the number {len(topic)}42.\n\n{filler}\n"


def call(service: Up, path: str, method: str = "GET", **options: Any) -> Any:
    """What the service answers."""
    headers = {"Authorization": f"Bearer {(service.data / KEY).read_text().strip()}"}
    response = httpx.request(method, f"{service.note.url}/api/v1{path}", headers=headers, timeout=60, **options)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def sweep(service: Up, tmp_path: Path) -> Path:
    """A document store and a dataset about it, and a sweep over them."""
    if not (service.data / KEY).exists():
        assert ragstone("dataset", "ls", "--data", service.data).returncode == 0  # makes a key
    name = tmp_path.name
    store = call(service, "/document-store/store", "POST", json={"name": name})
    files = [("files", (f"{topic.lower()}.md", page(topic).encode())) for topic in TOPICS]
    call(service, f"/document-store/upsert/{store['id']}", "POST", files=files)
    made = call(service, "/datasets/set", "POST", json={"name": name})
    rows = [
        {
            "input": f"Which number has the office of {topic}?",
            "sources": [{"quote": f"The office of {topic} has the number"}],
        }
        for topic in TOPICS
    ]
    call(service, f"/datasets/set/{made['id']}/import", "POST", json={"rows": rows})
    file = tmp_path / "sweep.yaml"
    wish = {
        "name": name,
        "dataset": name,
        "target": {"document_store": name},
        "settings": {"chunk_size": [None, 300], "k": [1, 5]},
        "metrics": ["recall@5"],
    }
    file.write_text(json.dumps(wish))  # which is YAML
    return file


def held(service: Up, name: str) -> dict[str, Any]:
    """The document store of this name."""
    (found,) = [each for each in call(service, "/document-store/store") if each["name"] == name]
    return dict(found)


def copies(service: Up, name: str) -> list[Any]:
    """The copies of a document store that are there."""
    found: list[Any] = call(service, f"/document-store/store/{held(service, name)['id']}/copies")
    return found


def test_settings_are_tried_shown_and_set_for_good(service: Up, sweep: Path, tmp_path: Path) -> None:
    here, name = ("--data", service.data), tmp_path.name
    before = held(service, name)
    out = tmp_path / "all.csv"
    done = ragstone("eval", "sweep", sweep, "--csv", out, "--json", *here)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {each["number"] for each in told["trials"]} == {0, 1, 2, 3, 4}
    by_number = {each["number"]: each for each in told["trials"]}
    assert by_number[3]["settings"] == {"chunk_size": 300, "k": 1}
    assert all(each["cases"] == 3 and not each["errors"] for each in told["trials"])
    large, small = (by_number[number]["figures"]["contextLength"]["value"] for number in (1, 3))
    assert small < large
    assert by_number[3]["front"]
    assert [each["label"] for each in told["objectives"]] == ["recall@5", "latency", "contextLength"]
    assert copies(service, name) == []
    with out.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["number"] for line in lines] == [str(each["number"]) for each in told["trials"]]

    again = ragstone("eval", "sweep", sweep, "--all", "--holdout", "0.5", "--apply", "3", *here)
    assert again.returncode == 0, again.stderr
    assert "was run before" in again.stderr
    assert all(text in again.stdout for text in ("chunk_size", "recall@5", "held back", "splitter of"))
    assert "--yes makes these changes" in again.stderr
    unchanged = held(service, name)
    assert {**unchanged, "updatedDate": ""} == {**before, "updatedDate": ""}

    applied = ragstone("eval", "apply", sweep, "3", "--yes", "--json", *here)
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["applied"]
    after = held(service, name)
    assert after["totalChunks"] > before["totalChunks"]
    assert after["vectorStoreConfig"]["config"]["topK"] == 1
    assert {loader["splitterConfig"]["chunkSize"] for loader in after["loaders"]} == {300}
    once_more = ragstone("eval", "apply", sweep, "3", "--yes", *here)
    assert "changes nothing" in once_more.stderr


def begun(service: Up, sweep: Path) -> "subprocess.Popen[str]":
    """A sweep that has made its copy."""
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "eval", "sweep", str(sweep), "--data", str(service.data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    eventually(lambda: copies(service, sweep.parent.name) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


def test_a_sweep_that_is_interrupted_leaves_no_copies(service: Up, sweep: Path) -> None:
    process = begun(service, sweep)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 1, said
    assert "interrupted" in said
    assert copies(service, sweep.parent.name) == []


def test_a_sweep_that_was_killed_is_taken_up_by_the_next_run(service: Up, sweep: Path) -> None:
    process = begun(service, sweep)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (left,) = copies(service, sweep.parent.name)
    assert left["expiresDate"] is not None
    done = ragstone("eval", "sweep", sweep, "--json", "--data", service.data)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert all(each["cases"] == 3 and not each["errors"] for each in told["trials"])
    assert copies(service, sweep.parent.name) == []


def test_a_flow_is_tried_on_copies_of_it(service: Up, sweep: Path) -> None:
    name = sweep.parent.name
    wish = json.loads(sweep.read_text())
    wish["target"] = {"answers_from": name}
    wish["settings"] = {"k": [1], "prompt": "Briefly. {context}"}
    sweep.write_text(json.dumps(wish))
    done = ragstone("eval", "sweep", sweep, "--apply", "1", "--yes", "--json", "--data", service.data)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["errors"] for each in told["trials"]] == [0, 0]
    assert {change["what"] for change in told["applied"]["changes"]} == {
        "documentStoreVS_0.topK",
        "conversationalRetrievalQAChain_0.responsePrompt",
    }
    flows = [each for each in call(service, "/chatflows") if name in each["name"]]
    assert [each["category"] for each in flows] != ["Sweep"]
    assert len(flows) == 1
    assert '"topK": 1' in flows[0]["flowData"]


def test_mistakes_are_said_before_anything_is_made(service: Up, sweep: Path) -> None:
    wish = json.loads(sweep.read_text())
    sweep.write_text(json.dumps({**wish, "settings": {"splitter": "scissors"}}))
    done = ragstone("eval", "sweep", sweep, "--data", service.data)
    assert (done.returncode, "scissors" in done.stderr) == (2, True), done.stderr
    assert copies(service, sweep.parent.name) == []
    shown = ragstone("eval", "sweep", sweep, "--dry-run", "--json")
    assert json.loads(shown.stdout)[1]["settings"] == {"splitter": "scissors"}
