"""What clients say to sync sources, in short."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.service.document_stores.talk import API, PASSAGES, Talk


@dataclass(slots=True)
class Keeper:
    """A client and its document store."""

    talk: Talk
    store: str

    async def add(self, connector: str, config: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """A new sync source; passages are cut apart unless it says otherwise."""
        body = {"connector": connector, "config": config, "splitter": PASSAGES, **fields}
        response = await self.talk.client.post(f"{API}/store/{self.store}/sources", json=body)
        assert response.status_code == 200, response.text
        made: dict[str, Any] = response.json()
        return made

    async def folder(self, path: Path, **fields: Any) -> str:
        """A new source over a folder with all it holds: its id."""
        made = await self.add("folderFiles", {"folderPath": str(path), "recursive": True}, **fields)
        return str(made["id"])

    async def run(self, source: str, *, force: bool = False) -> dict[str, Any]:
        """A run, when it has ended: its job."""
        response = await self.talk.client.post(f"{API}/sources/{source}/run", json={"force": force})
        assert response.status_code == 202, response.text
        assert response.headers["Location"] == response.json()["url"]
        return await self.talk.end(response.json()["url"])

    async def done(self, source: str, *, force: bool = False) -> dict[str, Any]:
        """A run that must succeed: its result."""
        job = await self.run(source, force=force)
        assert job["state"] == "done", job
        result: dict[str, Any] = job["result"]
        return result

    async def read(self, source: str) -> dict[str, Any]:
        """A sync source."""
        response = await self.talk.client.get(f"{API}/sources/{source}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def names(self) -> list[str]:
        """The names of the documents, sorted."""
        return sorted(document["name"] for document in await self.talk.documents(self.store))


def chunks(result: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Added, updated, skipped, deleted."""
    return (result["numAdded"], result["numUpdated"], result["numSkipped"], result["numDeleted"])


def items(result: Mapping[str, Any]) -> dict[str, int]:
    """What happened to the items, but for zeros."""
    names = ("listed", "unchanged", "fetched", "claimed", "left", "fetchFailures", "keptForSafety")
    return {name: result[name] for name in names if result[name]}
