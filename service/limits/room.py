"""Failures that mean a full disk, wherever it is."""

import errno

DISK_FULL = "53100"
"""Postgres: the disk that the database lies on has no room left."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
"""A file could not be written: no room on its disk, or none left of what its owner may use."""


def out_of_room(error: BaseException | None) -> bool:
    """Whether a failure, or what caused it, is that of a disk without room."""
    while error is not None:
        if getattr(error, "sqlstate", None) == DISK_FULL or (isinstance(error, OSError) and error.errno in NO_ROOM):
            return True
        error = error.__cause__
    return False
