"""`ragstone jobs`: list, watch and steer background jobs of a running service."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import typer

from service.cli.exits import EPILOG, Exit
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import moment, print_json, print_table, print_text, say
from service.jobs.types import JobState

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="List, watch and steer background jobs.", epilog=EPILOG
)

IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="As `jobs list` shows it.")]

SHOWN = 50


@app.command("list", epilog=EPILOG)
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only those in this state.")] = None,
    store: Annotated[str | None, typer.Option(help="Only those of this document store, by name or id.")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = SHOWN,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs, the newest first."""
    from service.cli.client import connect, need

    with connect(data, url, key) as client:
        params: dict[str, Any] = {"page": 1, "limit": most}
        if state:
            params["state"] = state.value
        if store:
            params["storeId"] = need(client.store(store), "document store", store)["id"]
        jobs = client.get("/jobs", **params)["data"]
        if as_json:
            print_json(jobs)
            return
        stores = {each["id"]: each["name"] for each in client.get("/document-store/store")} if jobs else {}
    columns = ("id", "document store", "kind", "state", "done", "since", "because")
    print_table(columns, [_row(job, stores) for job in jobs])
    if not jobs:
        say("There are no such jobs." if state or store else "There are no jobs.")


@app.command(epilog=EPILOG)
def watch(
    job: IdArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a job to its end. Exit code 1 when it failed or was cancelled."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        last: Mapping[str, Any] = {}
        for status in client.follow(f"/jobs/{job}/events"):
            last = status
            if not as_json:
                say(_line(status))
        last = last or client.get(f"/jobs/{job}")
    if as_json:
        print_json(last)
    if last["state"] != "done":
        raise typer.Exit(Exit.FAILED)


@app.command(epilog=EPILOG)
def cancel(
    job: IdArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a job; what it had not completed is left out."""
    _steer("DELETE", f"/jobs/{job}", data, url, key, as_json=as_json)


@app.command(epilog=EPILOG)
def pause(
    job: IdArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a job until it is resumed; it keeps what it did."""
    _steer("POST", f"/jobs/{job}/pause", data, url, key, as_json=as_json)


@app.command(epilog=EPILOG)
def resume(
    job: IdArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a paused job go on."""
    _steer("POST", f"/jobs/{job}/resume", data, url, key, as_json=as_json)


@app.command(epilog=EPILOG)
def retry(
    job: IdArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do again what failed of a job that has ended, as a new job."""
    _steer("POST", f"/jobs/{job}/retry", data, url, key, as_json=as_json)


def _steer(method: str, path: str, data: Any, url: str | None, key: str | None, *, as_json: bool) -> None:
    from service.cli.client import connect

    with connect(data, url, key) as client:
        status = client.send(method, path).json()
    if as_json:
        print_json(status)
    else:
        print_text(f"{status['id']} {_line(status)}")


def _row(job: Mapping[str, Any], stores: Mapping[str, str]) -> tuple[object, ...]:
    stage = "" if job["stage"] == job["state"] else f", {job['stage']}"
    left = "" if job["etaSeconds"] is None else f", {job['etaSeconds']:.0f} s left"
    return (
        job["id"],
        stores.get(job["storeId"], ""),
        job["kind"],
        f"{job['state']}{stage}",
        f"{job['done']} of {'?' if job['total'] is None else job['total']}{left}",
        moment(job["createdDate"]),
        _because(job),
    )


def _because(job: Mapping[str, Any]) -> str:
    """Why a job failed, or what it could not take."""
    if job["error"]:
        return str(job["error"]["message"])
    result = job["result"] or {}
    if cases := result.get("numFailed"):  # an evaluation's: its results say which
        return f"{cases} of {result['numCases']} cases have an error"
    failed = result.get("failed") or []
    if not failed:
        return ""
    first = f"{failed[0]['name']}: {failed[0]['message']}"
    return f"{len(failed)} failed, such as {first}" if len(failed) > 1 else f"failed: {first}"


def _line(job: Mapping[str, Any]) -> str:
    """How far a job is, in one line."""
    stage = "" if job["stage"] == job["state"] else f", {job['stage']}"
    parts = [f"{job['kind']} {job['state']}{stage}: {job['done']} of {job['total'] or '?'}"]
    if job["rate"]:
        parts.append(f"{job['rate']:.0f}/s")
    if job["etaSeconds"] is not None:
        parts.append(f"{job['etaSeconds']:.0f} s left")
    if because := _because(job):
        parts.append(because)
    return ", ".join(parts)
