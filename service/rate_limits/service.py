"""Count the calls of visitors, and refuse those beyond a chatflow's limit (contract 1.5).

One window for each chatflow and address, shared by predictions, upserts and leads and by all processes: it begins with
the first call and lasts as long as the chatflow says. A chatflow without a limit costs nothing.
"""

import math
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from uuid import UUID

from service.chatflows import service as chatflows
from service.errors import TooManyRequests
from service.rate_limits import records
from service.resources import Resources

NETWORK = 64
"""Bits of an IPv6 address that count: whoever has one has all that share them."""


class LimitReached(TooManyRequests):
    """This chatflow was called too often from this address."""

    code = "rate_limited"


async def spend(resources: Resources, flow_id: UUID, address: str | None) -> Mapping[str, str]:
    """Count a visitor's call; the headers that tell what is left, none for a chatflow without a limit.

    Raises `LimitReached`, with the flow's own words as plain text, `NotFound` for an unknown chatflow.
    """
    limit = (await chatflows.know(resources, flow_id)).rate_limit
    if limit is None:
        return {}
    async with resources.database.connection() as connection:
        calls, ends, now = await records.spend(connection, flow_id, client_of(address), limit.seconds)
    headers = {
        "X-RateLimit-Limit": str(limit.most),
        "X-RateLimit-Remaining": str(max(0, limit.most - calls)),
        "X-RateLimit-Reset": str(math.ceil(ends.timestamp())),
    }
    if calls > limit.most:
        wait = max(1, math.ceil((ends - now).total_seconds()))
        raise LimitReached(limit.message, headers={**headers, "Retry-After": str(wait)}, plain=True)
    return headers


def client_of(address: str | None) -> str:
    """What a caller is counted under: the address, of an IPv6 one its network."""
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ip_network((found, NETWORK), strict=False))
    return str(found)


async def forget_ended(resources: Resources) -> int:
    """Remove the counts of windows that have ended; says how many."""
    async with resources.database.connection() as connection:
        return await records.forget_ended(connection)
