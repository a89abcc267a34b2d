"""`ragstone serve`: one API process, beside a Postgres given by URL."""

from typing import Annotated

import typer

from service.cli.options import DataOption, settings_for, warn_of_strangers

app = typer.Typer(add_completion=False)

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than the minute that proxies usually keep theirs."""

DRAIN = 10
"""Seconds that running requests get at the end."""


@app.command()
def serve(
    data: DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="RAGSTONE_PORT, or 3000")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="RAGSTONE_HOST, or 127.0.0.1")
    ] = None,
    fd: Annotated[int | None, typer.Option(help="Listening socket to use instead.", hidden=True)] = None,
) -> None:
    """Run one API process; needs RAGSTONE_DATABASE_URL. Ends on SIGTERM once running requests are answered.

    Run several behind a load balancer, beside at least one `ragstone worker`, all with the same
    RAGSTONE_DATABASE_URL, RAGSTONE_SECRET_KEY and a data folder that they share (for uploaded files).
    """
    import signal
    import socket

    from service.cli.folder import make_private
    from service.cli.logs import configure_logging
    from service.cli.loops import run_loop
    from service.cli.parts import follow_lifeline

    signal.signal(signal.SIGTERM, lambda *_: exit_at_once())
    supervised = follow_lifeline()
    settings = settings_for(data, port=port, host=host)
    make_private(settings.data)
    configure_logging("api", settings.log_level)
    if not supervised:
        warn_of_strangers(settings)
    from service.cli.listen import listen
    from service.cli.server import run_server

    opened = socket.socket(fileno=fd) if fd is not None else listen(settings.host, settings.port, exactly=True)
    run_loop(run_server(settings, opened, keep_alive=KEEP_ALIVE, drain=DRAIN))


def exit_at_once() -> None:
    """A signal before there is anything to finish."""
    raise SystemExit(0)
