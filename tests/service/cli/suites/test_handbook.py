"""The sample handbook's own suite, as its users and CI run it: on a service that the command starts and ends."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml

from service.cli import main
from service.cli.suites.baseline import load
from service.cli.suites.suite import Suite
from tests.service.cli.conftest import Up, environment

README = Path(__file__).parents[4] / "README.md"
HANDBOOK = Path(__file__).parents[4] / "datasets" / "handbook"
PATIENCE = 540.0


def blocks() -> list[Any]:
    """The YAML of the README's section: a suite, and a workflow."""
    section = README.read_text("utf-8").partition("\n## Evaluate in CI\n")[2].partition("\n## ")[0]
    return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)]


def test_the_suite_of_the_readme_can_be_used() -> None:
    suite = Suite.model_validate(blocks()[0])
    assert [target.name for target in suite.targets] == ["retrieval", "answers"]


@pytest.mark.timeout(600)
def test_the_handbook_passes_its_suite_as_the_workflow_of_the_readme_runs_it(tmp_path: Path) -> None:
    (step,) = [step["run"] for step in blocks()[1]["jobs"]["evaluate"]["steps"] if "eval run" in step.get("run", "")]
    verb, *arguments = step.split()
    assert verb == "ragstone"
    (tmp_path / "datasets").symlink_to(HANDBOOK.parent)
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path), PYTHONPATH=str(README.parent)),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Starting a service on a folder of its own" in done.stderr
    assert done.stdout.splitlines()[-1].endswith("passed: 9 checks, 80 cases")
    read = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (read.tests, read.failures, read.errors) == (9, 0, 0)
    assert len(load(tmp_path / "run.json").scores("retrieval", "recall@5")) == 40
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
    file, root = str(tmp_path / "suite.yaml"), str(HANDBOOK)
    assert main(["eval", "run", file, "--root", root, "--data", str(service.data), "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    failed = {check["measure"] for check in checks if check["result"] == "failed"}
    assert {"recall@5", "mrr@10", "ndcg@10"} <= failed
