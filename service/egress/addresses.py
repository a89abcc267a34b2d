"""Which addresses may be called: those that the whole internet can reach, and those that the operator allows."""

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_EMBEDDING = IPv6Network("64:ff9b::/96")
"""NAT64: the last 32 bits are an IPv4 address (RFC 6052)."""

_PUBLIC_V6 = IPv6Network("2000::/3")
"""Global unicast. Whatever lies outside is local, multicast, or another spelling of an IPv4 address."""

_REFUSED: tuple[Network, ...] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),  # carrier-grade NAT
    IPv4Network("192.0.0.0/24"),  # protocol assignments; a cloud's metadata service among them
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("224.0.0.0/3"),  # multicast and reserved
    IPv6Network("2001::/23"),  # Teredo and other special uses
    IPv6Network("2002::/16"),  # 6to4: embeds an IPv4 address
    IPv6Network("3fff::/20"),  # documentation
)
"""Ranges that `is_global` does not know in every version of Python, or lets pass."""

METADATA: tuple[Network, ...] = (
    IPv4Network("169.254.0.0/16"),
    IPv4Network("100.100.100.200/32"),
    IPv4Network("168.63.129.16/32"),  # a public address that means the platform's own channel on Azure
    IPv4Network("192.0.0.192/32"),
    IPv6Network("fe80::/10"),
    IPv6Network("fd00:ec2::/32"),
    IPv6Network("fd20:ce::/32"),
)
"""Where clouds hand out their machines' secrets. A range that the operator allows never includes them."""

METADATA_NAMES = frozenset({"metadata", "metadata.goog", "instance-data", "metadata.tencentyun.com"})

_LOCAL_SUFFIXES = frozenset(
    {
        "localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "test",
        "invalid", "onion",
    }
)  # fmt: skip
"""Last parts of names that mean nothing outside a private network (RFC 6761, 6762, 8375, and by custom)."""

_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_ENTRY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows beyond public addresses. A port of None stands for every port."""

    names: tuple[tuple[str, int | None], ...] = ()
    """Host names in lower case; `*.` in front stands for every name below."""
    networks: tuple[tuple[Network, int | None], ...] = ()

    def name(self, host: str, port: int) -> bool:
        """Whether the host is allowed by its name."""
        return any(
            (host.endswith(name[1:]) if name.startswith("*.") else host == name) and allowed in (None, port)
            for name, allowed in self.names
        )

    def address(self, address: Address, port: int) -> bool:
        """Whether the address is allowed by a range; a metadata service only by its own address."""
        guarded = is_metadata(address)
        return any(
            address.version == network.version
            and address in network
            and allowed in (None, port)
            and not (guarded and network.num_addresses > 1)
            for network, allowed in self.networks
        )


def parse_allowed(*texts: str) -> Allowed:
    """The entries of these texts, separated by commas: hosts, host:port, addresses, CIDRs, URLs (their host and port).

    Raises `ValueError` naming the entry that cannot be understood.
    """
    names: list[tuple[str, int | None]] = []
    networks: list[tuple[Network, int | None]] = []
    for entry in (part.strip() for text in texts for part in text.split(",")):
        if not entry:
            continue
        host, port = _split(entry)
        try:
            networks.append((ip_network(host, strict=False), port))
        except ValueError:
            plain = host.lower().rstrip(".")
            if not _NAME.fullmatch(plain.removeprefix("*.")) or _NUMBER.fullmatch(plain.rpartition(".")[2]):
                raise ValueError(f"'{entry}' is neither a host, host:port, address nor CIDR") from None
            names.append((plain, port))
    return Allowed(tuple(names), tuple(networks))


def _split(entry: str) -> tuple[str, int | None]:
    """Host (or network) and port of an entry. Raises `ValueError`."""
    if "://" in entry:
        parts = urlsplit(entry)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if "/" in entry or (entry.count(":") > 1 and not entry.startswith("[")):
        return entry, None
    found = _ENTRY.fullmatch(entry)
    if not found or int(found["port"] or 0) > 65535:
        raise ValueError(f"'{entry}' is neither a host, host:port, address nor CIDR")
    return found["host"].strip("[]"), int(found["port"]) if found["port"] else None


def literal(host: str) -> Address | None:
    """The address that a URL's host is, or None for a name. `host` is lower case, without brackets.

    Raises `ValueError` for what is neither: addresses as one number, in octal or hexadecimal, with a zone; names that
    end in a dot or hold characters that names have not.
    """
    last = host.rpartition(".")[2]
    if ":" in host or _NUMBER.fullmatch(last):
        if "%" in host:
            raise ValueError(host)
        return plain(ip_address(host))
    if not _NAME.fullmatch(host):
        raise ValueError(host)
    return None


def plain(address: Address) -> Address:
    """The IPv4 address behind an IPv4-mapped one; every other address as it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_local_name(name: str) -> bool:
    """Whether a name means something in a private network only."""
    return "." not in name or name.rpartition(".")[2] in _LOCAL_SUFFIXES or name in METADATA_NAMES


def is_metadata(address: Address) -> bool:
    """Whether a cloud's metadata service answers at this address."""
    return _within(_embedded(address), METADATA)


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, and to no service of the machine's own platform."""
    address = _embedded(address)
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6:
        return False
    return address.is_global and not address.is_multicast and not _within(address, (*_REFUSED, *METADATA))


def _embedded(address: Address) -> Address:
    """The IPv4 address that a mapped or NAT64 address leads to."""
    address = plain(address)
    if isinstance(address, IPv6Address) and address in _EMBEDDING:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
