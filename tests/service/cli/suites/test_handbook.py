"""The sample handbook's own suite, as its users and CI run it: on a service that the command starts and ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml

from service.cli import main
from service.cli.suites.baseline import load
from tests.service.cli.conftest import Up, environment

HANDBOOK = Path(__file__).parents[4] / "datasets" / "handbook"
PATIENCE = 540.0


@pytest.mark.timeout(600)
def test_the_handbook_passes_its_suite_on_a_service_that_is_started_for_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.cli", "eval", "run", str(HANDBOOK / "suite.yaml")]
    outputs = ["--junit", "junit.xml", "--save", "run.json", "--report", "report.html"]
    done = subprocess.run(
        [*command, *outputs],
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path), PYTHONPATH=str(HANDBOOK.parents[1])),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Starting a service on a folder of its own" in done.stderr
    assert done.stdout.splitlines()[-1].endswith("passed: 9 checks, 76 cases")
    read = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (read.tests, read.failures, read.errors) == (9, 0, 0)
    assert len(load(tmp_path / "run.json").scores("retrieval", "recall@5")) == 38
    assert "recall@5" in (tmp_path / "report.html").read_text("utf-8")
    assert not list(tmp_path.glob("ragstone-*"))


@pytest.mark.timeout(600)
def test_the_handbook_fails_its_suite_when_retrieval_is_broken(
    service: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = yaml.safe_load((HANDBOOK / "suite.yaml").read_text("utf-8"))
    suite["document_stores"][0]["files"] = str(HANDBOOK / "files")
    suite["dataset"]["file"] = str(HANDBOOK / "questions.jsonl")
    suite["targets"] = [{**suite["targets"][0], "options": {"topK": 1}}]
    suite["metrics"] = suite["metrics"][:4]
    suite["thresholds"] = suite["thresholds"][:4]
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    assert main(["eval", "run", str(tmp_path / "suite.yaml"), "--data", str(service.data), "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    failed = {check["measure"] for check in checks if check["result"] == "failed"}
    assert {"recall@5", "mrr@10", "ndcg@10"} <= failed
