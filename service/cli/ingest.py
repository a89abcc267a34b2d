"""`ragstone ingest`: files and folders into a document store."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.exits import Exit
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import print_json, print_table

app = typer.Typer(add_completion=False)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, and folders with all they hold.")],
    store: Annotated[str, typer.Option(help="Name or id of the document store; made when there is none.")],
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put files into a document store; what it holds already is left as it is.

    Files are known by their name, inside a folder by their path in it: the same name later replaces the file.
    Exit code 1 when a file could not be read; the others are in all the same.
    """
    from service.cli.client import connect
    from service.cli.uploads import COUNTS, find_files, upload

    files = find_files(paths)
    with connect(data, url, key) as client:
        report = upload(client, store, files, show=not as_json)
    if as_json:
        print_json(report.as_json())
    else:
        counts = [report.counts[name] for name in COUNTS]
        columns = ("document store", "files", "failed", "chunks added", "updated", "unchanged", "deleted", "seconds")
        print_table(columns, [(report.store, report.files, len(report.failed), *counts, f"{report.seconds:.1f}")])
        if report.failed:
            print()
            print_table(("failed", "because"), report.failed)
    if report.failed:
        raise typer.Exit(Exit.FAILED)
