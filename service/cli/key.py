"""`ragstone key`: make, list and revoke API keys, whether the service runs or not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer

from service.cli.exits import EPILOG, UsageProblem
from service.cli.options import DataOption, JsonOption, settings_for
from service.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from service.settings import Settings
    from stores.records.database import Database

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Make, list and revoke API keys.", epilog=EPILOG)

Result = TypeVar("Result")


@app.command(epilog=EPILOG)
def new(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="Permission, such as documentStores:view; repeat it.", show_default="all")
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option("--as", help="Ask chatflows in this principal's name, and open nothing else; repeat it."),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it; it is shown only this once."""
    made = make_key(settings_for(data), name, scope or ["*"], principal)
    if as_json:
        print_json(made)
    else:
        print(made["apiKey"])
        say(f"Key {made['name']!r} (id {made['id']}); it will not be shown again.")


@app.command("list", epilog=EPILOG)
def list_keys(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the living keys, without their secrets."""
    from service.api_keys import service
    from service.workspaces import DEFAULT_WORKSPACE

    keys = _with_database(settings_for(data), "key list", lambda base: service.everything(base, DEFAULT_WORKSPACE))
    if as_json:
        print_json(
            [
                {
                    "id": key.id,
                    "name": key.name,
                    "hint": key.hint,
                    "scopes": sorted(key.scopes),
                    "principals": None if key.principals is None else sorted(key.principals),
                    "createdDate": key.created_at.isoformat(),
                    "usedDate": key.used_at.isoformat() if key.used_at else None,
                }
                for key in keys
            ]
        )
        return
    print_table(
        ("id", "name", "ends in", "scopes", "made", "last used"),
        [
            (
                key.id,
                key.name,
                key.hint,
                " ".join(sorted(key.scopes))
                if key.principals is None
                else f"asks for {' '.join(sorted(key.principals))}",
                f"{key.created_at:%Y-%m-%d %H:%M}",
                f"{key.used_at:%Y-%m-%d %H:%M}" if key.used_at else "never",
            )
            for key in keys
        ],
    )


@app.command(epilog=EPILOG)
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `key list` shows it.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key at once."""
    from service.api_keys import service
    from service.workspaces import DEFAULT_WORKSPACE

    try:
        number = UUID(key_id)
    except ValueError:
        raise UsageProblem(f"{key_id!r} is no key id; `ragstone key list` shows them") from None
    _with_database(settings_for(data), "key revoke", lambda base: service.revoke(base, DEFAULT_WORKSPACE, number))
    if as_json:
        print_json({"id": number, "revoked": True})
    else:
        say(f"Key {number} is revoked.")


def make_key(settings: "Settings", name: str, scopes: list[str], principals: list[str] | None = None) -> dict[str, Any]:
    """A new key of the default workspace: `{"id", "name", "apiKey"}`. Raises `Unprocessable`."""
    from service.api_keys import service
    from service.workspaces import DEFAULT_WORKSPACE

    key, secret = _with_database(
        settings,
        "key new",
        lambda base: service.create(base, DEFAULT_WORKSPACE, name, scopes, principals=principals),
        create=True,
    )
    return {"id": str(key.id), "name": key.name, "apiKey": secret}


def _with_database(
    settings: "Settings", verb: str, work: "Callable[[Database], Awaitable[Result]]", *, create: bool = False
) -> Result:
    """Do the work on the opened database."""
    from service.cli.database import open_database
    from stores.records.database import Database

    async def connected(url: str) -> Result:
        async with Database(url, size=2) as database:
            return await work(database)

    with open_database(settings, verb, create=create) as url:
        return asyncio.run(connected(url))
