"""`ragstone key`: make, list and revoke API keys, whether the service runs or not; exchange the key that seals."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer

from service.cli.exits import EPILOG, InUse, Unreachable, UsageProblem
from service.cli.options import DataOption, JsonOption, settings_for
from service.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from service.settings import Settings
    from stores.records.database import Database

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="API keys, and the key that seals secrets.", epilog=EPILOG
)

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


@app.command(epilog=EPILOG)
def rotate(
    while_running: Annotated[
        bool, typer.Option("--while-running", help="Every process has been started anew with both keys.")
    ] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Exchange the key that seals secrets: make a new one, seal everything anew by it, forget the old one.

    Stop the service first. May be broken off: until it has ended both keys are kept, and it goes on when it is called
    again. With RAGSTONE_SECRET_KEY, that names both keys: 2:NEW,1:OLD.
    """
    from service.keyring import grown, open_keyring, write_keyring

    settings = settings_for(data)
    given = settings.secret_key is not None
    if settings.database_url is None:
        _check_idle(settings.data)
    keyring = open_keyring(settings)
    if len(keyring.keys) == 1:
        old = keyring.newest
        if given:
            raise UsageProblem(
                f"RAGSTONE_SECRET_KEY holds one key: set it to {old + 1}:NEW,{old}:OLD for every process, NEW made by"
                " `openssl rand -base64 32` and OLD the present key, then call this again"
            )
        keyring = grown(keyring)

    async def work(url: str) -> int:
        from service.sealing.service import others
        from service.sealing.service import rotate as seal_anew
        from service.vault import Vault
        from stores.records.database import Database

        async with Database(url, size=1, sealer=Vault(keyring)) as database:
            if not while_running and (found := await others(database)):
                raise InUse(
                    f"{found} other connections use the database: stop the service, or start all of it with both keys"
                    " and add --while-running"
                )
            if not given:
                write_keyring(settings.data, keyring)
            return await seal_anew(database, keyring)

    from service.cli.database import open_database

    with open_database(settings, "key rotate") as url:
        changed = asyncio.run(work(url))
        if not given:
            write_keyring(settings.data, keyring.latest)
    if as_json:
        print_json({"version": keyring.newest, "sealed": changed})
        return
    say(f"{changed} secrets were sealed anew by the key of version {keyring.newest}.")
    if given:
        say(f"From now on RAGSTONE_SECRET_KEY may hold that key alone, as {keyring.newest}:KEY.")


def _check_idle(data: Path) -> None:
    """Raises `InUse` for a folder on which the service runs, `Unreachable` for one without a database."""
    from service.cli.folder import SERVING, holder_of

    holder = holder_of(data)
    if holder is not None and holder.verb == SERVING:
        raise InUse(f"process {holder.pid} runs the service on {data}: stop it first")
    if not (data / "postgres" / "data").exists():
        raise Unreachable(f"there is no Ragstone in {data}: name its --data")


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
