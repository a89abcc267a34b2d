"""The one place that turns a name into a class."""

import asyncio
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from service.errors import Unprocessable


class UnknownName(Unprocessable):
    """There is no plug-in of this name."""

    code = "unknown_name"


def resolve(table: Mapping[str, str], name: str, kind: str) -> Any:
    """The object that `table` lists under `name` as "module:Class", imported on first use.

    Raises `UnknownName`, which lists the known names, when the table has no such row.
    """
    try:
        row = table[name]
    except KeyError:
        raise UnknownName(f"Unknown {kind} '{name}'. Known: {', '.join(sorted(table))}.") from None
    return resolve_name(row)


async def resolve_aside(table: Mapping[str, str], name: str, kind: str) -> Any:
    """As `resolve`, beside the event loop: what a module brings along may take tenths of a second to import."""
    return await asyncio.to_thread(resolve, table, name, kind)
