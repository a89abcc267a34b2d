"""A database that is away or overloaded, a disk that is full: the caller is told so, not that there is a bug."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import Response

from service.errors import StorageFull, Unavailable, error_response
from service.limits.room import out_of_room
from service.worker.postgres import OUT_OF_REACH

log = logging.getLogger("ragstone")


def install_outages(app: FastAPI) -> None:
    """Answer 503 with `Retry-After` for what is raised while the database cannot be used, 507 when a disk is full."""

    async def away(request: Request, error: Exception) -> Response:
        log.warning("%s %s: the database cannot be used: %s", request.method, request.url.path, error)
        if out_of_room(error):
            return error_response(StorageFull("The disk of the database is full; nothing was kept."))
        message = "The database does not answer, or has too much to do; send this again in a moment."
        return error_response(Unavailable(message, headers={"Retry-After": "2"}))

    async def file_failed(request: Request, error: Exception) -> Response:
        if not out_of_room(error):
            raise error
        log.error("%s %s: no room to keep files: %s", request.method, request.url.path, error)
        return error_response(
            StorageFull("The disk of the service is full; nothing was kept. Make room, and repeat it.")
        )

    for failure in OUT_OF_REACH:
        app.add_exception_handler(failure, away)
    app.add_exception_handler(OSError, file_failed)
