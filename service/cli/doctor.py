"""`ragstone doctor`: looks at everything that can be wrong with an installation, and says how to mend it."""

from typing import Annotated

import typer

from service.cli.exits import Exit
from service.cli.options import DataOption, JsonOption, settings_for
from service.cli.output import print_json

app = typer.Typer(add_completion=False)


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended, then check.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every upload and every chunk's text too: slow where there are many.")
    ] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the installation, whether it runs or not; exit code 1 when there is a problem.

    Looks at Python, the environment, the data folder, disk, port, embedder, chat model, database, migrations and
    worker, and whether ledger, vectors, keyword index and uploads of every document store agree: every chunk has its
    vector and its words, every upload its file, of the size that was uploaded. `--deep` compares the bytes of the
    files, and the words with the texts. `--fix` brings indexes into step with the ledger, ends what waits for a job
    that is gone, and removes files that belong to nobody; files that are lost or damaged have to be uploaded again.
    """
    from service.cli.checks import examine, mend

    mended = mend(settings_for(data), deep=deep) if fix else []
    results = examine(settings_for(data), deep=deep)
    bad = [result for result in results if not result.ok]
    if as_json:
        rows = [
            {"check": result.check, "ok": result.ok, "detail": result.detail, "remedy": result.remedy or None}
            for result in results
        ]
        print_json({"ok": not bad, "mended": mended, "checks": rows})
    else:
        for line in mended:
            print(f"MENDED   {line}")
        for result in results:
            print(f"{'ok     ' if result.ok else 'PROBLEM'}  {result.check}: {result.detail}")
            if result.remedy:
                print(f"         -> {result.remedy}")
        print(f"\n{len(bad)} problem{'' if len(bad) == 1 else 's'}")
    if bad:
        raise typer.Exit(Exit.FAILED)
