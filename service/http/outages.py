"""A database that is away, overloaded or full: the caller is told to come back, not that there is a bug."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import Response

from service.errors import StorageFull, Unavailable, error_response
from service.worker.postgres import OUT_OF_REACH

log = logging.getLogger("ragstone")

DISK_FULL = "53100"
"""Postgres: the disk that the database lies on has no room left."""


def install_outages(app: FastAPI) -> None:
    """Answer 503 with `Retry-After` for what is raised while the database cannot be used, 507 when its disk is full."""

    async def away(request: Request, error: Exception) -> Response:
        log.warning("%s %s: the database cannot be used: %s", request.method, request.url.path, error)
        if getattr(error, "sqlstate", None) == DISK_FULL:
            return error_response(StorageFull("The disk of the database is full; nothing was kept."))
        message = "The database does not answer, or has too much to do; send this again in a moment."
        return error_response(Unavailable(message, headers={"Retry-After": "2"}))

    for failure in OUT_OF_REACH:
        app.add_exception_handler(failure, away)
