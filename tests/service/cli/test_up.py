"""What `ragstone up` promises while it runs."""

import json
import os
import re
import signal
import stat
from pathlib import Path

import httpx

from service import __version__
from tests.service.cli.conftest import Up, eventually, ragstone

READY = re.compile(
    r"Ready · (http://127\.0\.0\.1:\d+) · API \1/api/v1 · Docs \1/docs · Data (\S+)"
    r" · Answers: extractive \(no model configured\) · JavaScript: off\n"
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_ready_line_names_everything_and_comes_when_requests_are_answered(service: Up) -> None:
    found = READY.fullmatch(service.line)
    assert found is not None, service.line
    assert Path(found[2]) == service.data
    assert httpx.get(f"{found[1]}/readyz").status_code == 200
    assert httpx.get(f"{found[1]}/api/v1/document-store/store").status_code == 401
    assert httpx.get(f"{found[1]}/docs").status_code == 200


def test_the_data_folder_and_its_secrets_are_private(service: Up) -> None:
    assert mode(service.data) == 0o700
    for name in ("service.json", "secrets.json", "lock"):
        assert mode(service.data / name) == 0o600


def test_a_second_service_on_the_folder_is_refused_by_name(service: Up) -> None:
    second = ragstone("up", "--data", service.data, "--port", "0")
    assert second.returncode == 4
    assert second.stdout == ""
    assert second.stderr.count("\n") == 1
    assert str(service.data) in second.stderr
    assert str(service.process.pid) in second.stderr


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(service: Up, tmp_path: Path) -> None:
    port = service.note.url.rpartition(":")[2]
    refused = ragstone("up", "--data", tmp_path / "data", "--port", port)
    assert refused.returncode == 4
    assert f"port {port} is taken" in refused.stderr
    assert mode(tmp_path / "data") == 0o700


def test_keys_are_made_listed_and_revoked_while_it_runs(service: Up) -> None:
    made = ragstone(
        "key", "new", "--name", "Reader", "--scope", "documentStores:view", "--data", service.data, "--json"
    )
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert set(key) == {"id", "name", "apiKey"}

    stores = f"{service.note.url}/api/v1/document-store/store"
    bearer = {"Authorization": f"Bearer {key['apiKey']}"}
    assert httpx.get(stores, headers=bearer).status_code == 200
    assert httpx.post(stores, headers=bearer, json={"name": "Mine"}).status_code == 403

    listed = json.loads(ragstone("key", "list", "--data", service.data, "--json").stdout)
    (mine,) = (row for row in listed if row["id"] == key["id"])
    assert (mine["name"], mine["hint"], mine["scopes"]) == ("Reader", key["apiKey"][-4:], ["documentStores:view"])
    assert key["apiKey"] not in json.dumps(listed)

    assert ragstone("key", "revoke", key["id"], "--data", service.data).returncode == 0
    assert httpx.get(stores, headers=bearer).status_code == 401


def test_status_says_where_it_runs_and_what_it_holds(service: Up) -> None:
    answer = ragstone("status", "--data", service.data, "--json")
    assert answer.returncode == 0, answer.stderr
    facts = json.loads(answer.stdout)
    assert facts["running"] is True
    assert facts["ready"] is True
    assert facts["version"] == __version__
    assert facts["url"] == service.note.url
    assert facts["pid"] == service.process.pid
    assert set(facts["jobs"]) == {"queued", "running", "paused", "done", "failed", "cancelled"}


def test_the_doctor_finds_nothing_wrong(service: Up) -> None:
    answer = ragstone("doctor", "--deep", "--data", service.data, "--json")
    report = json.loads(answer.stdout)
    assert report["ok"] is True, report
    assert answer.returncode == 0
    assert {"python", "disk", "database", "migrations", "embedder", "worker", "document stores"} <= {
        row["check"] for row in report["checks"]
    }


def test_files_go_in_are_found_and_answer_questions(service: Up, tmp_path: Path) -> None:
    (tmp_path / "in" / "more").mkdir(parents=True)
    (tmp_path / "in" / "gate.txt").write_text("The north gate opens at seven in the morning.")
    (tmp_path / "in" / "more" / "boat.md").write_text("# Boats\n\nThe ferry leaves from pier nine.")
    (tmp_path / "in" / "empty.txt").write_text("")
    ingest = ("ingest", tmp_path / "in", "--store", "Town", "--data", service.data, "--json")

    first = ragstone(*ingest)
    assert first.returncode == 1, first.stderr
    report = json.loads(first.stdout)
    assert report["files"] == 3
    assert report["numAdded"] == 2
    assert [item["name"] for item in report["failed"]] == ["empty.txt"]

    again = json.loads(ragstone(*ingest).stdout)
    assert (again["numAdded"], again["numSkipped"]) == (0, 2)

    found = ragstone("search", "ferry pier", "--store", "Town", "-k", "1", "--data", service.data, "--json")
    assert [doc["metadata"]["source"] for doc in json.loads(found.stdout)["docs"]] == ["more/boat.md"]

    asked = ragstone("ask", "When does the north gate open?", "--store", "Town", "--data", service.data)
    assert asked.returncode == 0, asked.stderr
    assert "opens at seven in the morning. [1]" in asked.stdout
    assert "[1] gate.txt" in asked.stdout

    flow = ragstone("ask", "When does the north gate open?", "--chatflow", "Ask Town", "--data", service.data, "--json")
    assert "seven" in json.loads(flow.stdout)["text"]


def test_jobs_are_listed_watched_and_steered(service: Up, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "gate.txt").write_text("The south gate opens at nine.")
    ragstone("ingest", tmp_path, "--store", "Gates", "--data", service.data)
    listed = json.loads(ragstone("jobs", "list", "--store", "Gates", "--data", service.data, "--json").stdout)
    (job,) = listed
    assert (job["state"], [item["name"] for item in job["result"]["failed"]]) == ("done", ["empty.txt"])
    shown = ragstone("jobs", "list", "--state", "done", "--data", service.data)
    assert job["id"] in shown.stdout
    assert "failed: empty.txt: The file is empty." in shown.stdout
    assert "Gates" in shown.stdout

    watched = ragstone("jobs", "watch", job["id"], "--data", service.data)
    assert (watched.returncode, "ingest done" in watched.stderr) == (0, True)
    again = json.loads(ragstone("jobs", "retry", job["id"], "--data", service.data, "--json").stdout)
    failed = ragstone("jobs", "watch", again["id"], "--data", service.data, "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["error"]["code"] == "nothing_loaded"
    for verb in ("pause", "resume"):
        refused = ragstone("jobs", verb, job["id"], "--data", service.data)
        assert (refused.returncode, "has ended" in refused.stderr) == (1, True)
    assert ragstone("jobs", "cancel", job["id"], "--data", service.data).returncode == 0


def test_a_wrong_key_is_told_apart_from_other_failures(service: Up) -> None:
    refused = ragstone("search", "x", "--store", "Town", "--url", service.note.url, "--key", "wrong")
    assert refused.returncode == 5
    unknown = ragstone("search", "x", "--store", "Nowhere", "--data", service.data)
    assert unknown.returncode == 1
    assert "no document store 'Nowhere'" in unknown.stderr


def test_a_worker_that_dies_is_started_again(service: Up) -> None:
    before = service.note.worker
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: service.note.worker not in (None, before))
    assert httpx.get(f"{service.note.url}/readyz").status_code == 200
