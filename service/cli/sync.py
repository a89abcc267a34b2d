"""`ragstone sync`: keep document stores in step with folders, pages, buckets and repositories."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from service.cli.exits import EPILOG, CommandError, Exit, UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import moment, print_json, print_table, say

if TYPE_CHECKING:
    from service.cli.client import Client

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Keep document stores in step with where their documents come from.",
    epilog=EPILOG,
)

StoreOption = Annotated[str, typer.Option(help="Name or id of the document store; made when there is none.")]
SourceArgument = Annotated[UUID, typer.Argument(metavar="ID", help="As `sync list` shows it.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Let documents leave even when the source lists nothing at all.")
]

COUNTS = ("listed", "unchanged", "claimed", "left", "numAdded", "numDeleted")


@app.command(epilog=EPILOG)
def add(
    store: StoreOption,
    folder: Annotated[
        Path | None, typer.Option(help="A folder of the service's machine, below one of RAGSTONE_SYNC_FOLDERS.")
    ] = None,
    connector: Annotated[
        str | None, typer.Option(help="In place of a folder: github, s3Directory, cheerioWebScraper, ...")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="A field of the connector; repeat it.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call it.", show_default="the place")] = None,
    every: Annotated[str | None, typer.Option(help="Interval, such as 6h.", show_default="none")] = None,
    cron: Annotated[str | None, typer.Option(help="Five fields, such as '0 3 * * *'.", show_default="none")] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of --cron.")] = "UTC",
    keep: Annotated[bool, typer.Option("--keep", help="Keep documents that the source no longer lists.")] = False,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a sync source and run it once. Exit code 1 when something of it could not be taken."""
    from service.cli.client import connect

    if (folder is None) == (connector is None):
        raise UsageProblem("give either --folder or --connector")
    body: dict[str, Any] = {
        "connector": connector or "folderFiles",
        "config": _fields(option or []),
        "deleteMissing": not keep,
    }
    if folder is not None:
        body["config"] = {"folderPath": str(folder.absolute()), "recursive": True, **body["config"]}
    if name or folder is not None:
        body["name"] = name or str(folder)
    if every and cron:
        raise UsageProblem("give either --every or --cron")
    if every or cron:
        body["schedule"] = {"every": every} if every else {"cron": cron, "timezone": timezone}
    with connect(data, url, key) as client:
        known = client.store(store)
        found = known or client.post("/document-store/store", {"name": store})
        try:
            made = client.post(f"/document-store/store/{found['id']}/sources", body)
        except CommandError:
            if known is None:
                client.send("DELETE", f"/document-store/store/{found['id']}")
            raise
        say(f"Sync source {made['name']!r} (id {made['id']}) keeps {found['name']!r} in step.")
        _report(client, made["id"], as_json=as_json, force=False)


@app.command("list", epilog=EPILOG)
def list_sources(
    store: Annotated[str | None, typer.Option(help="Only of this document store.", show_default="all")] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sync sources with their next time and how their newest run ended."""
    from service.cli.client import connect, need

    with connect(data, url, key) as client:
        stores = [need(client.store(store), "document store", store)] if store else client.get("/document-store/store")
        rows = [
            {**source, "store": each["name"]}
            for each in stores
            for source in client.get(f"/document-store/store/{each['id']}/sources")
        ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("id", "document store", "name", "documents", "schedule", "next", "last run"),
        [
            (
                row["id"],
                row["store"],
                row["name"],
                row["documents"],
                _schedule(row["schedule"]),
                moment(row["nextRunDate"]),
                _last(row["lastRun"]),
            )
            for row in rows
        ],
    )


@app.command(epilog=EPILOG)
def run(
    source: SourceArgument,
    force: ForceOption = False,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a sync source now and wait for it. Exit code 1 when something of it could not be taken."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        _report(client, str(source), as_json=as_json, force=force)


@app.command(epilog=EPILOG)
def remove(
    source: SourceArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a sync source; its documents stay."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        answer = client.send("DELETE", f"/document-store/sources/{source}").json()
    if as_json:
        print_json(answer)
    else:
        say(f"Sync source {source} is removed; its documents stay.")


def _report(client: "Client", source: str, *, as_json: bool, force: bool) -> None:
    """Run a source, wait, and print what became of it. Ends with exit code 1 when something failed."""
    from service.cli.uploads import follow

    job = follow(
        client, client.post(f"/document-store/sources/{source}/run", {"force": force})["url"].removeprefix("/api/v1")
    )
    if job["state"] != "done":
        error = job["error"] or {"message": f"the run ended as {job['state']}"}
        raise CommandError(str(error["message"]))
    result = job["result"]
    if as_json:
        print_json({"sourceId": source, **result})
    else:
        columns = ("items", "unchanged", "new or changed", "gone", "chunks added", "deleted")
        print_table(columns, [[result[name] for name in COUNTS]])
        if result["failed"]:
            print()
            print_table(("failed", "because"), [(item["name"], item["message"]) for item in result["failed"]])
        if result["listingError"]:
            say(f"The listing is not complete: {result['listingError']['message']}")
        if result["keptForSafety"]:
            say(f"{result['keptForSafety']} documents that were not listed stay; --force lets them go when none is.")
    if result["failed"] or result["listingError"]:
        raise typer.Exit(Exit.FAILED)


def _fields(pairs: list[str]) -> dict[str, Any]:
    """FIELD=VALUE pairs; `true`, `false`, lists and objects are read as JSON, everything else is text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals or not field:
            raise UsageProblem(f"--set {pair}: give FIELD=VALUE")
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = value
        found[field] = parsed if isinstance(parsed, bool | list | dict) else value
    return found


def _schedule(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "on demand"
    return f"every {value['every']}" if value["every"] else f"{value['cron']} ({value['timezone']})"


def _last(run: Mapping[str, Any] | None) -> str:
    if run is None:
        return "never"
    error = run["error"]
    return f"{run['state']} {moment(run['finishedDate'])}" + (f": {error['message']}" if error else "")
