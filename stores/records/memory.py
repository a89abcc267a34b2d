"""How much memory there is, for an embedded Postgres and for what processes remember."""

import os
from contextlib import suppress
from pathlib import Path

MIB = 1 << 20
LEAST, MOST, SHARE = 128 * MIB, 4096 * MIB, 8
"""Shared buffers: an eighth of the memory within these bounds. Pages are taken as they are used, so a small database
stays small. A vector index that does not fit is copied page by page, in every search and for every new point: to grow
a collection of half a million points took half as long again with 128 MiB as with 3 GiB."""

LEAST_FOR_INDEX = 256
"""MiB."""

CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Where a container's limit stands, in the second and the first version of control groups."""


def memory_bytes(cgroups: Path = CGROUPS) -> int:
    """The bytes of this machine's memory, or of the container's where it may use less; 0 where nobody says."""
    found = [int(text) for name in _LIMITS if (text := _read(cgroups / name)).isdigit()]
    with suppress(ValueError, OSError):  # not every system counts its pages
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=0)


def shared_buffers(memory: int) -> int:
    """MiB of shared buffers for a machine with so many bytes of memory."""
    return min(max(memory // SHARE, LEAST), MOST) // MIB


def index_memory(memory: int) -> int:
    """MiB that building an index may take: a graph that does not fit is grown point by point, which takes five times as
    long."""
    return max(shared_buffers(memory), LEAST_FOR_INDEX)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
