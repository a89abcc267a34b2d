"""Command lines that need no running service."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli import checks, main
from service.cli.exits import EPILOG, InUse, UsageProblem
from service.cli.folder import hold, holder_of
from service.cli.listen import listen, url_of
from service.cli.run import VERBS
from service.cli.uploads import BATCH_BYTES, BATCH_FILES, batches, find_files
from service.providers.chat.services import OWN
from service.settings import CHAT_PROVIDERS, Settings
from tests.service.cli.conftest import ragstone


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_its_exit_codes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert " ".join(EPILOG.split()) in shown
    assert "--json" in shown or verb in ("dataset", "eval", "flow", "jobs", "key", "serve", "store", "sync", "worker")


def test_a_wrong_command_line_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert main(["ask", "why?"]) == 2
    assert main(["up", "--port", "many"]) == 2
    assert main(["jobs", "list", "--state", "lost"]) == 2
    assert main(["jobs", "watch", "lost"]) == 2
    assert main(["sync", "run", "lost"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_setting_that_cannot_be_used_is_named_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSTONE_PORT", "seventy")
    assert main(["config"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ragstone: RAGSTONE_PORT: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("verb", [["status"], ["search", "x", "--store", "S"], ["key", "list"]])
def test_where_nothing_runs_the_exit_code_says_so(verb: list[str], tmp_path: Path) -> None:
    assert main([*verb, "--data", str(tmp_path / "nothing")]) == 3


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("postgresql://nobody@127.0.0.1:9/none", 3, "cannot be reached"),
        ("none", 2, "the database URL cannot be read"),
    ],
    ids=["nobody answers", "no URL"],
)
def test_a_database_that_is_not_there_is_told_by_the_exit_code(
    url: str, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSTONE_DATABASE_URL", url)
    assert main(["migrate", "--check"]) == code
    assert said in capsys.readouterr().err


def test_a_file_of_settings_that_names_none_is_said_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ragstone.toml"
    file.write_text("prot = 3001")
    monkeypatch.setenv("RAGSTONE_CONFIG", str(file))
    assert main(["config"]) == 2
    assert capsys.readouterr().err == "ragstone: RAGSTONE_CONFIG: there is no setting 'prot'; did you mean port?\n"


STRANGERS = {
    "RAGSTONE_CHAT_MODLE": "x",
    "RAGSTONE_WHATEVER_IT_IS": "",
    "RAGSTONE_VAR_CITY": "Rome",
    "RAGSTONE_URL": "x",
}
SAID = [
    "RAGSTONE_CHAT_MODLE: there is no such setting; did you mean RAGSTONE_CHAT_MODEL?",
    "RAGSTONE_WHATEVER_IT_IS: there is no such setting; `ragstone config` lists them all",
]


@pytest.mark.parametrize("verb", ["up", "serve", "worker"])
def test_a_variable_that_is_no_setting_is_told_of_at_the_start(verb: str, tmp_path: Path) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    done = ragstone(verb, "--data", tmp_path / "data", RAGSTONE_DATABASE_URL=nowhere, RAGSTONE_PORT="0", **STRANGERS)
    assert done.returncode == 3, done.stderr
    warned = [line.partition("ragstone.settings: ")[2] for line in done.stderr.splitlines() if "WARNING" in line]
    assert warned == SAID


def test_a_variable_that_is_no_setting_is_told_of_by_config_and_doctor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def told(settings: Settings) -> list[tuple[bool, str]]:
        return [(result.ok, result.detail) for result in checks._environment(settings)]

    assert told(Settings()) == [(True, "every RAGSTONE_ variable is known")]
    for name, value in STRANGERS.items():
        monkeypatch.setenv(name, value)
    assert main(["config", "--json"]) == 0
    assert capsys.readouterr().err.splitlines() == SAID
    assert told(Settings()) == [(False, line) for line in SAID]
    city = "RAGSTONE_VAR_CITY: there is no such setting; `ragstone config` lists them all"
    assert (False, city) in told(Settings(variables_prefix=""))
    assert told(Settings(variables_prefix="RAGSTONE_"))[0][0]


@pytest.mark.parametrize("model", ["claude", "openai:", "nobody:x", ":x"])
def test_a_model_that_is_none_is_refused_with_those_there_are(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSTONE_CHAT_MODEL", model)
    assert main(["config"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ragstone: RAGSTONE_CHAT_MODEL: '{model}' is not PROVIDER:NAME, of anthropic, ")
    assert set(OWN) == {*CHAT_PROVIDERS, "local"}


def test_config_shows_defaults_of_secrets_and_values_as_they_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSTONE_PRICES", '{"small": {"input": 0.5}}')
    assert main(["config"]) == 0
    shown = capsys.readouterr().out
    assert "RAGSTONE_VECTOR_STORE = pgvector://  (default)" in shown
    assert 'RAGSTONE_PRICES = {"small": {"input": 0.5, "output": 0.0}}  (environment, default {})' in shown
    monkeypatch.setenv("RAGSTONE_VECTOR_STORE", "qdrant://host:6333?api_key=hush")
    assert main(["config"]) == 0
    shown = capsys.readouterr().out
    assert "RAGSTONE_VECTOR_STORE = ********  (environment, default pgvector://)" in shown
    assert "hush" not in shown


def test_config_tells_where_each_value_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ragstone.toml"
    file.write_text('host = "0.0.0.0"\nport = 4000\nopenai_api_key = "sk-from-the-file"\n')
    monkeypatch.setenv("RAGSTONE_CONFIG", str(file))
    monkeypatch.setenv("RAGSTONE_PORT", "5000")
    assert main(["config", "--data", "here", "--json"]) == 0
    output = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(output)}
    assert set(rows) == {f"RAGSTONE_{name.upper()}" for name in Settings.model_fields}
    assert all(set(row) == {"name", "value", "default", "source", "help"} and row["help"] for row in rows.values())
    assert {name: rows[f"RAGSTONE_{name}"]["source"] for name in ("DATA", "PORT", "HOST", "LOG_LEVEL")} == {
        "DATA": "flag",
        "PORT": "environment",
        "HOST": "file",
        "LOG_LEVEL": "default",
    }
    assert rows["RAGSTONE_PORT"]["value"] == 5000
    assert "sk-from-the-file" not in output


def test_the_supervisor_imports_neither_the_web_framework_nor_a_model() -> None:
    heavy = {
        "fastapi",
        "starlette",
        "uvicorn",
        "onnxruntime",
        "numpy",
        "langchain_core",
        "procrastinate",
        "httpx",
        "rich",
    }
    code = f"import sys, service.cli.up, service.cli.supervisor; print(sorted({heavy!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_next_free_port_is_taken_unless_one_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port, exactly=False) as opened:
            assert opened.getsockname()[1] > port
            assert url_of(opened, "0.0.0.0") == f"http://127.0.0.1:{opened.getsockname()[1]}"
        with pytest.raises(InUse, match=f"port {port} is taken"):
            listen("127.0.0.1", port, exactly=True)


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with hold(tmp_path, "up"):
        holder = holder_of(tmp_path)
        assert holder is not None
        assert holder.verb == "up"
        with pytest.raises(InUse, match="in use by process"), hold(tmp_path, "up"):
            pass
    assert holder_of(tmp_path) is None


def test_files_are_named_by_their_path_and_hidden_ones_and_links_that_lead_out_are_left_out(tmp_path: Path) -> None:
    for name in ("a.txt", "sub/a.txt", ".git/config", "sub/.hidden"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "b.txt")
    (tmp_path / "in" / "inner.txt").symlink_to(tmp_path / "in" / "a.txt")
    found = find_files([tmp_path / "in", tmp_path / "b.txt"])
    assert [name for name, _ in found] == ["a.txt", "inner.txt", "sub/a.txt", "b.txt"]
    with pytest.raises(UsageProblem, match="there is no file"):
        find_files([tmp_path / "missing"])


@given(sizes=st.lists(st.integers(0, 3 * BATCH_BYTES), max_size=100))
def test_uploads_are_bounded_and_keep_every_file_in_order(sizes: list[int]) -> None:
    files = [(f"{index}", _FakeFile(size)) for index, size in enumerate(sizes)]
    made = list(batches(files))  # type: ignore[arg-type]  # only stat() is asked of the paths
    assert [name for batch in made for name, _ in batch] == [name for name, _ in files]
    for batch in made:
        assert 1 <= len(batch) <= BATCH_FILES
        assert len(batch) == 1 or sum(file.stat().st_size for _, file in batch) <= BATCH_BYTES


class _FakeFile:
    """Something with a size."""

    def __init__(self, size: int) -> None:
        self.st_size = size

    def stat(self) -> "_FakeFile":
        return self
