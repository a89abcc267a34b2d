"""What callers are told when the database is away or overloaded, or a disk is full: not that there is a bug."""

from service.errors import ServiceError, StorageFull, Unavailable
from service.limits.room import out_of_room
from service.worker.postgres import OUT_OF_REACH

AGAIN = {"Retry-After": "2"}
"""Seconds after which to try again."""


def outage_of(error: BaseException) -> ServiceError | None:
    """`StorageFull` or `Unavailable` for a failure that means that; None for any other."""
    if isinstance(error, OUT_OF_REACH):
        if out_of_room(error):
            return StorageFull("The disk of the database is full; nothing was kept.")
        message = "The database does not answer, or has too much to do; send this again in a moment."
        return Unavailable(message, headers=AGAIN)
    if isinstance(error, OSError) and out_of_room(error):
        return StorageFull("The disk of the service is full; nothing was kept. Make room, and repeat it.")
    return None
