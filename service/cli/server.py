"""The API process: resources opened, application made, requests served until a signal comes."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from contextlib import nullcontext

import uvicorn

from service.app import create_app
from service.jobs.watch import JobWatch
from service.providers.errors import ProviderError
from service.resources import Resources, open_resources
from service.settings import Settings

GC_THRESHOLD = (20_000, 20, 50)
"""New objects until the collector looks at the young ones; a request makes thousands, nearly all without cycles."""

PATIENCE = 5.0
"""Seconds that a request waits for what another one or a job has locked: then its caller is told to come again, and the
connection is free for requests that have nothing to do with that."""

SWITCH_SECONDS = 0.001
"""How long a thread that computes in Python (an embedding's tokens, a parsed body) may keep the event loop waiting, and
the loop a model's thread: Python's own five milliseconds are a third of a prediction."""

log = logging.getLogger("ragstone.api")


class _Server(uvicorn.Server):
    """Lets go of who waits for jobs before it waits for running requests."""

    def __init__(self, watch: JobWatch, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._watch = watch

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watch.end()
        await super().shutdown(sockets)


async def run_server(settings: Settings, opened: socket.socket, *, keep_alive: int, drain: int) -> None:
    """Serve on a listening socket until SIGTERM or SIGINT; running requests then get `drain` seconds.

    Raises what `open_resources` raises.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    async with open_resources(settings, patience=PATIENCE) as resources:
        app = create_app(settings, nullcontext(resources))
        server = _Server(
            resources.watch,
            uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # service/http/proxy.py
                timeout_keep_alive=keep_alive,
                timeout_graceful_shutdown=drain,
                backlog=2048,
            ),
        )
        # uvicorn takes the signals now, and raises them again at its end, when all is done.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        warming = asyncio.create_task(_warm(resources))
        try:
            await server.serve(sockets=[opened])
        finally:
            warming.cancel()
            await asyncio.wait({warming})


async def _warm(resources: Resources) -> None:
    """Load the bundled embedder, so that the first question does not wait for it."""
    try:
        await (await resources.embedders.get()).open()
    except ProviderError as error:
        log.warning("The bundled embedder cannot be loaded: %s", error)
    # What is loaded by now stays: the collector need not walk it again and again while requests come and go.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
