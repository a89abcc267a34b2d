"""A database that is away or overloaded, a disk that is full: the caller is told so, not that there is a bug."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import Response

from service.errors import error_response
from service.outages import outage_of
from service.worker.postgres import OUT_OF_REACH

log = logging.getLogger("ragstone")


def install_outages(app: FastAPI) -> None:
    """Answer 503 with `Retry-After` for what is raised while the database cannot be used, 507 when a disk is full."""

    async def away(request: Request, error: Exception) -> Response:
        told = outage_of(error)
        if told is None:
            raise error
        log.warning("%s %s: %s (%s)", request.method, request.url.path, told.message, error)
        return error_response(told)

    for failure in (*OUT_OF_REACH, OSError):
        app.add_exception_handler(failure, away)
