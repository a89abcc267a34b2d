"""`ragstone migrate`: bring the schema of the database up to date."""

from typing import Annotated

import typer

from service.cli.exits import Exit
from service.cli.options import DataOption, JsonOption, settings_for
from service.cli.output import print_json, say

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    data: DataOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is pending; exit code 1 when anything is.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Apply pending migrations to RAGSTONE_DATABASE_URL; `ragstone up` does so by itself.

    Without RAGSTONE_DATABASE_URL, to the embedded database of the data folder.
    """
    from service.cli.database import open_database
    from stores.records import migrate as migrations
    from stores.records.server import check_server

    settings = settings_for(data)
    with open_database(settings, "migrate", migrated=False) as url:
        check_server(url)
        names = migrations.pending(url) if check else migrations.migrate(url)
    if as_json:
        print_json({"pending" if check else "applied": names})
    elif names:
        say(("Pending: " if check else "Applied: ") + ", ".join(names))
    else:
        say("The database is up to date.")
    if check and names:
        raise typer.Exit(Exit.FAILED)
