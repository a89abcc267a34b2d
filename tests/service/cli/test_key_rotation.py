"""`ragstone key rotate` as an operator uses it."""

import base64
import json
from pathlib import Path

import httpx

from tests.service.cli.conftest import ragstone, up


def test_the_key_is_exchanged_while_nothing_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    nowhere = ragstone("key", "rotate", "--data", data)
    assert nowhere.returncode == 3
    assert not (data / "secrets.json").exists()
    bearer = ragstone("key", "new", "--name", "mine", "--data", data).stdout.strip()
    headers = {"Authorization": f"Bearer {bearer}"}
    saved = {"name": "Mine", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-1"}}
    with up(data) as service:
        made = httpx.post(f"{service.note.url}/api/v1/credentials", json=saved, headers=headers)
        assert made.status_code == 200
        refused = ragstone("key", "rotate", "--data", data)
        assert (refused.returncode, "stop it first" in refused.stderr) == (4, True)
    before = json.loads((data / "secrets.json").read_text())["keys"]
    done = ragstone("key", "rotate", "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"version": 2, "sealed": 1}
    after = json.loads((data / "secrets.json").read_text())["keys"]
    assert (list(before), list(after)) == (["1"], ["2"])
    old = {"RAGSTONE_SECRET_KEY": before["1"]}
    assert "another key" in ragstone("doctor", "--data", data, **old).stdout
    with up(data) as service:
        found = httpx.get(f"{service.note.url}/api/v1/credentials/{made.json()['id']}", headers=headers)
        assert found.json()["plainDataObj"]["openAIApiKey"].startswith("_FLOWISE_BLANK_")


def test_a_key_of_the_environment_is_exchanged_by_whoever_sets_it(tmp_path: Path) -> None:
    data, old, new = tmp_path / "data", *(base64.b64encode(bytes(range(n, n + 32))).decode() for n in (1, 2))
    assert ragstone("key", "new", "--name", "mine", "--data", data, RAGSTONE_SECRET_KEY=old).returncode == 0
    told = ragstone("key", "rotate", "--data", data, RAGSTONE_SECRET_KEY=old)
    assert (told.returncode, "2:NEW,1:OLD" in told.stderr) == (2, True)
    both = f"2:{new},1:{old}"
    done = ragstone("key", "rotate", "--data", data, RAGSTONE_SECRET_KEY=both)
    assert done.returncode == 0, done.stderr
    assert "as 2:KEY" in done.stderr
    assert new not in done.stdout + done.stderr
    assert ragstone("key", "list", "--data", data, RAGSTONE_SECRET_KEY=f"2:{new}").returncode == 0
    assert not (data / "secrets.json").exists()
