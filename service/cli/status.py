"""`ragstone status`: what runs on a data folder, and what it holds."""

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from service.cli.exits import Exit
from service.cli.folder import Running, running
from service.cli.options import DataOption, JsonOption, settings_for
from service.cli.output import print_json, print_text

if TYPE_CHECKING:
    from service.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Say whether a service runs on the data folder, where, and what it holds. Exit code 3 when none runs."""
    settings = settings_for(data)
    note = running(settings.data)
    facts: dict[str, Any] = {"running": note is not None, "data": str(settings.data)}
    if note is not None:
        facts |= note.as_json() | {"ready": _ready(note), **_holdings(settings)}
    if as_json:
        print_json(facts)
    elif note is None:
        print(f"No service runs on {settings.data}; start it with `ragstone up`.")
    else:
        _print(facts)
    if note is None:
        raise typer.Exit(Exit.UNREACHABLE)


def _print(facts: dict[str, Any]) -> None:
    state = "ready" if facts["ready"] else "running, but not ready"
    print(f"Ragstone {facts['version']} is {state} at {facts['url']} since {facts['started']}")
    print(f"Data       {facts['data']}")
    print("Processes  " + ", ".join(f"{name} {facts[name]}" for name in ("pid", "api", "worker", "postgres")))
    print(f"Postgres   {facts['postgresVersion']}, pgvector {facts['pgvectorVersion']}")
    print("Jobs       " + ", ".join(f"{count} {state}" for state, count in facts["jobs"].items()))
    for store in facts["stores"]:
        print_text(
            f"Store      {store['name']}: {store['status']}, {store['chunks']} chunks{_by(store)} ({store['id']})"
        )


def _by(store: dict[str, Any]) -> str:
    return f" by {store['embedding']}" if store["embedding"] else ""


def _ready(note: Running) -> bool:
    import httpx

    try:
        return httpx.get(f"{note.url}/readyz", timeout=3.0, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _holdings(settings: "Settings") -> dict[str, Any]:
    from service.cli.database import open_database

    with open_database(settings, "status") as url:
        return asyncio.run(_counted(url))


async def _counted(url: str) -> dict[str, Any]:
    from service.document_stores import records
    from service.jobs import service as jobs
    from service.jobs.types import JobState
    from service.workspaces import DEFAULT_WORKSPACE
    from stores.records.database import Database
    from stores.records.server import versions

    async with Database(url, size=2) as database:
        async with database.read(DEFAULT_WORKSPACE) as scope:
            rows, _ = await records.page(scope, None, 0, 1000)
        counts = {}
        for state in JobState:
            _, counts[state.value] = await jobs.everything(
                database, DEFAULT_WORKSPACE, store_id=None, state=state, offset=0, limit=0
            )
    postgres, pgvector = versions(url)
    return {
        "postgresVersion": postgres,
        "pgvectorVersion": pgvector,
        "jobs": counts,
        "stores": [
            {
                "id": str(row.id),
                "name": row.name,
                "status": row.status.value,
                "chunks": sum(loader.chunks for loader in row.loaders),
                "embedding": (row.fingerprint or {}).get("model"),
            }
            for row in rows
        ],
    }
