"""`ragstone sync` against a service as `ragstone up` runs it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import main
from service.cli.sync import _fields
from tests.service.cli.conftest import Up, ragstone, up


@pytest.fixture(scope="module")
def syncing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, Path]]:
    """A service that may read a folder."""
    folder = tmp_path_factory.mktemp("wiki")
    with up(tmp_path_factory.mktemp("service") / "data", environ={"RAGSTONE_SYNC_FOLDERS": str(folder)}) as started:
        yield started, folder


def test_a_folder_is_kept_in_step_by_four_commands(syncing: tuple[Up, Path]) -> None:
    service, folder = syncing
    (folder / "a.md").write_text("# Opening hours\n\nThe harbour office opens at nine.")
    (folder / "b.md").write_text("# Closing hours\n\nThe harbour office closes at five.")
    here = ("--data", service.data)
    made = ragstone("sync", "add", "--store", "Wiki", "--folder", folder, "--every", "6h", "--json", *here)
    assert made.returncode == 0, made.stderr
    result = json.loads(made.stdout)
    assert (result["listed"], result["claimed"], result["numAdded"]) == (2, 2, 2)
    (row,) = json.loads(ragstone("sync", "list", "--store", "Wiki", "--json", *here).stdout)
    assert (row["id"], row["documents"], row["lastRun"]["state"]) == (result["sourceId"], 2, "done")
    (folder / "b.md").unlink()
    again = ragstone("sync", "run", row["id"], *here)
    assert (again.returncode, again.stdout.split()[-6:]) == (0, ["1", "1", "0", "1", "0", "1"]), again.stderr
    shown = ragstone("sync", "list", *here)
    assert "every 6h" in shown.stdout
    (folder / "a.md").unlink()
    (folder / "bad.pdf").write_text("%PDF-1.7 this is none")
    failed = ragstone("sync", "run", row["id"], *here)
    assert (failed.returncode, "bad.pdf" in failed.stdout) == (1, True)
    assert ragstone("sync", "remove", row["id"], *here).returncode == 0
    assert json.loads(ragstone("sync", "list", "--json", *here).stdout) == []


def test_a_folder_that_is_not_allowed_is_refused(syncing: tuple[Up, Path]) -> None:
    service, _ = syncing
    refused = ragstone("sync", "add", "--store", "Etc", "--folder", "/etc", "--data", service.data)
    assert (refused.returncode, "RAGSTONE_SYNC_FOLDERS" in refused.stderr) == (1, True)
    assert "Etc" not in ragstone("status", "--data", service.data).stdout  # nothing was made for it


def test_fields_are_text_unless_they_are_more() -> None:
    pairs = ["prefix=2024", "recursive=true", 'ignorePath=["a"]', "branch=a=b", "credential=", "name=null"]
    assert _fields(pairs) == {
        "prefix": "2024", "recursive": True, "ignorePath": ["a"], "branch": "a=b", "credential": "", "name": "null",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--store", "S"],
        ["--store", "S", "--folder", "/x", "--connector", "github"],
        ["--store", "S", "--connector", "github", "--set", "nothing"],
        ["--store", "S", "--folder", "/x", "--every", "1h", "--cron", "0 3 * * *"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync", "add", *arguments]) == 2
    assert capsys.readouterr().err.startswith("ragstone: ")
