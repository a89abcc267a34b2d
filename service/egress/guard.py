"""Names to addresses that may be called, for connections that then go to exactly these."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from service.egress.addresses import (
    Address,
    Allowed,
    is_local_name,
    is_metadata,
    is_public,
    literal,
    plain,
)
from service.egress.errors import ALLOW, EgressFailed, EgressRefused, not_public, place_of

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Asks for the addresses of a name and port. Raises `OSError`."""

BAD_PORTS = frozenset(
    {
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
        110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526,
        530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049,
        2375, 2379, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 6000, 6379, 6566, 6665, 6666, 6667, 6668,
        6669, 6679, 6697, 9042, 9092, 10080, 11211, 27017,
    }
)  # fmt: skip
"""Ports of other protocols: those that browsers refuse (Fetch standard, "port blocking") and common databases."""


class Guard:
    """Decides where connections may go. One for a process; it holds no state."""

    def __init__(self, allowed: Allowed, resolver: Resolver | None = None) -> None:
        """`resolver` stands in for the system's."""
        self.allowed = allowed
        self._resolver = resolver or _resolve

    def check(self, host: str, port: int) -> None:
        """Refuse what needs no look-up to be refused. Raises `EgressRefused`."""
        self._known(host.lower(), port)

    def named(self, host: str, port: int | None) -> bool:
        """Whether the operator allows this very host, by its name or, where it is one, by its address."""
        host, port = host.lower(), -1 if port is None else port  # no port: only what is allowed on every one
        try:
            address = literal(host)
        except ValueError:
            return False
        return self.allowed.address(address, port) if address is not None else self.allowed.name(host, port)

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses that a connection to this host may use, in the resolver's order; never empty.

        Raises `EgressRefused` when there is none, `EgressFailed` when the name cannot be resolved just now.
        """
        host = host.lower()
        if (known := self._known(host, port)) is not None:
            return [str(known)]
        try:
            found = await self._resolver(host, port)
        except OSError as error:
            raise _unresolved(host, port, error) from error
        return self._permitted(host, port, found)

    def addresses_blocking(self, host: str, port: int) -> list[str]:
        """As `addresses`, for code without an event loop; always asks the system."""
        host = host.lower()
        if (known := self._known(host, port)) is not None:
            return [str(known)]
        try:
            found = [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except OSError as error:
            raise _unresolved(host, port, error) from error
        return self._permitted(host, port, found)

    async def check_plain(self, host: str, port: int, header: str) -> None:
        """Refuse to send a credential, the value of `header`, over plain http: anybody on the way could read it. It may
        go where the operator lets calls go by name or address; loopback, like every private place, is one of these.

        Raises `EgressRefused`, and what `addresses` raises.
        """
        if not self.allowed.name(host.lower(), port):
            self._check_near(host, port, header, await self.addresses(host, port))

    def check_plain_blocking(self, host: str, port: int, header: str) -> None:
        """As `check_plain`, for code without an event loop."""
        if not self.allowed.name(host.lower(), port):
            self._check_near(host, port, header, self.addresses_blocking(host, port))

    def _check_near(self, host: str, port: int, header: str, addresses: Sequence[str]) -> None:
        if not all(self.allowed.address(ip_address(address), port) for address in addresses):
            raise EgressRefused(
                f"'{host}' is to be called by plain http with a credential in '{header}', which others on the way could"
                f" read. Use https; or, if that way is your own, start with {ALLOW}={place_of(host, port)}"
            )

    def _known(self, host: str, port: int) -> Address | None:
        """The address that the host is, or None for a name worth asking for. Raises `EgressRefused`."""
        try:
            address = literal(host)
        except ValueError:
            raise not_public(host, port, plain=False) from None
        by_name = self.allowed.name(host, port)
        if address is not None:
            if not self._may(address, port, by_name=False):
                raise not_public(host, port)
        elif is_local_name(host) and not by_name and not self.allowed.networks:
            raise not_public(host, port)  # the resolver is not even asked: its answers would show what exists
        named = by_name or (address is not None and self.allowed.address(address, port))
        if port in BAD_PORTS and not named:
            raise EgressRefused(f"Port {port} of '{host}' is not one of web servers.")
        return address

    def _permitted(self, host: str, port: int, found: Sequence[str]) -> list[str]:
        by_name = self.allowed.name(host, port)
        parsed = dict.fromkeys(plain(ip_address(item)) for item in found if "%" not in item)
        permitted = [str(item) for item in parsed if self._may(item, port, by_name=by_name)]
        if not permitted:
            raise not_public(host, port)
        return permitted

    def _may(self, address: Address, port: int, *, by_name: bool) -> bool:
        if is_public(address) or self.allowed.address(address, port):
            return True
        return by_name and not is_metadata(address)


async def _resolve(host: str, port: int) -> Sequence[str]:
    """The system's answer, asked in a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(item[4][0]) for item in found]


def _unresolved(host: str, port: int, error: OSError) -> EgressRefused | EgressFailed:
    """A name that does not exist is refused like one without a public address."""
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return EgressFailed(f"The name '{host}' cannot be resolved at the moment.", transient=True)
    return not_public(host, port)
