"""`ragstone worker`: one worker process, beside a Postgres given by URL."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import DataOption, settings_for, warn_of_strangers

if TYPE_CHECKING:
    from service.settings import Settings

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    data: DataOption = None,
    alone: Annotated[
        bool,
        typer.Option("--alone", help="No other worker uses this database: take up at once what a dead one was doing."),
    ] = False,
) -> None:
    """Run one worker process; needs RAGSTONE_DATABASE_URL. On SIGTERM its jobs go back onto the queue.

    Run as many as there is work for, on any machine that shares the data folder with the API processes.
    """
    from service.cli.folder import make_private
    from service.cli.logs import configure_logging
    from service.cli.loops import run_loop
    from service.cli.parts import follow_lifeline, give_way

    supervised = follow_lifeline()
    settings = settings_for(data)
    give_way(settings.worker_nice)
    make_private(settings.data)
    configure_logging("worker", settings.log_level)
    if not supervised:
        warn_of_strangers(settings)
    run_loop(_work(settings, alone=alone))


async def _work(settings: "Settings", *, alone: bool) -> None:
    import asyncio
    import signal

    from service.cli.exits import CommandError
    from service.resources import open_resources
    from service.worker.runner import Runner

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_resources(settings, jobs=settings.worker_concurrency + settings.run_concurrency) as resources:
        await Runner(resources, alone=alone).run(stop)
    if not stop.is_set():
        raise CommandError("the worker lost its queue; the log above says why")
