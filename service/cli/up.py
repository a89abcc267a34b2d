"""`ragstone up`: everything on one machine. Database, API and worker, started, watched and ended together."""

from typing import Annotated

import typer

from service.cli.options import DataOption, JsonOption, environment

app = typer.Typer(add_completion=False)


@app.command()
def up(
    data: DataOption = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on.", show_default="RAGSTONE_PORT, or 3000, or the next free one", min=0),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="RAGSTONE_HOST, or 127.0.0.1")
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Put the sample handbook in and ask it a question before saying Ready.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the whole service on this machine; Ctrl-C or SIGTERM ends it.

    Prints one line on stdout when requests will be answered. Everything else goes to stderr.
    """
    from service.cli.parts import follow_lifeline
    from service.cli.supervisor import GRACE, Supervisor, Wishes
    from service.settings import load, sources

    follow_lifeline(GRACE + 10.0)  # of a command that started this for itself
    overrides = {"data": data, "port": port, "host": host}
    settings = load(environment(), overrides)
    exactly = sources(environment(), overrides).get("port") is not None
    code = Supervisor(settings, Wishes(exact_port=exactly, sample=sample, as_json=as_json)).run()
    raise typer.Exit(code)
