"""`ragstone doctor`: looks at everything that can be wrong with an installation, and says how to mend it."""

import typer

from service.cli.exits import Exit
from service.cli.options import DataOption, JsonOption, settings_for
from service.cli.output import print_json

app = typer.Typer(add_completion=False)


@app.command()
def doctor(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the installation, whether it runs or not; exit code 1 when there is a problem.

    Looks at Python, settings, the data folder, disk, port, database, migrations, embedder and worker, and whether
    ledger, vectors, keyword index and uploads of every document store agree.
    """
    from service.cli.checks import examine

    results = examine(settings_for(data))
    bad = [result for result in results if not result.ok]
    if as_json:
        rows = [
            {"check": result.check, "ok": result.ok, "detail": result.detail, "remedy": result.remedy or None}
            for result in results
        ]
        print_json({"ok": not bad, "checks": rows})
    else:
        for result in results:
            print(f"{'ok     ' if result.ok else 'PROBLEM'}  {result.check}: {result.detail}")
            if result.remedy:
                print(f"         -> {result.remedy}")
        print(f"\n{len(bad)} problem{'' if len(bad) == 1 else 's'}")
    if bad:
        raise typer.Exit(Exit.FAILED)
