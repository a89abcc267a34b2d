"""`ragstone principals` and `ragstone key new --as` against a running service."""

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from service.api_keys import service as api_keys
from service.cli import main
from service.settings import Settings
from service.workspaces import DEFAULT_WORKSPACE
from tests.service.predictions.live import Live


@pytest.fixture
def live(settings: Settings) -> Iterator[Live]:
    """The application on a socket, without a worker."""
    with Live(settings) as live:
        yield live


def test_principals_are_listed_and_changed(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    _, key = live.run(api_keys.create(live.resources.database, DEFAULT_WORKSPACE, "tests"))
    place = ["--url", live.url, "--key", key]
    headers = {"Authorization": f"Bearer {key}", "Prefer": "respond-async"}
    with httpx.Client(base_url=f"{live.url}/api/v1/document-store", headers=headers) as client:
        store = client.post("/store", json={"name": "Handbook"}).json()["id"]
        for name in ("a.txt", "b.txt"):
            queued = client.post(f"/upsert/{store}", files={"files": (name, b"Text of " + name.encode())})
            assert queued.status_code == 202, queued.text

    def told(*more: str) -> dict[str, object]:
        assert main(["principals", "Handbook", *more, "--json", *place]) == 0
        answer = json.loads(capsys.readouterr().out)
        return {"restricted": answer["restricted"]} | {row["name"]: row["principals"] for row in answer["documents"]}

    assert told() == {"restricted": False, "a.txt": None, "b.txt": None}
    assert told("--document", "a.txt", "--allow", "user:anna", "--allow", "group:hr")["a.txt"] == [
        "group:hr",
        "user:anna",
    ]
    assert told("--document", "file:b.txt", "--nobody", "--restricted") == {
        "restricted": True,
        "a.txt": ["group:hr", "user:anna"],
        "b.txt": [],
    }
    assert told("--document", "b.txt", "--everybody", "--open")["b.txt"] is None
    assert main(["principals", "Handbook", *place]) == 0
    assert "group:hr, user:anna" in capsys.readouterr().out
    for wrong in (
        ["--document", "a.txt"],
        ["--allow", "x"],
        ["--document", "a.txt", "--nobody", "--everybody"],
        ["--document", "none.txt", "--nobody"],
    ):
        assert main(["principals", "Handbook", *wrong, *place]) == 2
    assert main(["principals", "Handbook", "--loader", str(uuid4()), "--nobody", *place]) != 0
    assert "changes[0]" in capsys.readouterr().err
