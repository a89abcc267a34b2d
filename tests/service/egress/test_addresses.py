"""Which addresses are public, and what the operator's list means."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.egress.addresses import is_metadata, is_public, literal, parse_allowed

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:8.8.8.8"]
PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("100.100.100.200", "168.63.129.16"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1"),
    *("64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1"),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fec0::1", "ff02::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_every_spelling_of_an_ipv4_address_is_judged_alike(address: object) -> None:
    plain = is_public(ip_address(str(address)))
    for spelling in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ip_address(spelling)) == plain
    assert not is_public(ip_address(f"::{address}"))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("example.com", None),
        ("a-b_c", None),
    ],
)
def test_hosts_are_addresses_or_names(host: str, address: str | None) -> None:
    found = literal(host)
    assert (None if found is None else str(found)) == address


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1", "0x7f.0.0.1", "1.2.3.4.5", "256.1.1.1"),
        *("example.com.", "127.0.0.1.", "a..b", ".a", "a b", "a%2eb", "fe80::1%eth0", "fe80::1%25eth0", ":::", "1.0x"),
        *("", "-a.example", "a/b", "a@b", "x" * 254),
    ],
)
def test_hosts_that_are_neither_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        literal(host or ".")


def test_the_operators_list() -> None:
    allowed = parse_allowed(
        " ollama:11434, *.Corp.example:443 ,10.0.0.0/8,[fd00::5]:8080, 127.0.0.1:11434,http://box.lan/v1,https://s.lan"
    )
    assert allowed.name("ollama", 11434)
    assert not allowed.name("ollama", 80)
    assert allowed.name("a.b.corp.example", 443)
    assert not allowed.name("corp.example", 443)
    assert not allowed.name("evilcorp.example", 443)
    assert allowed.name("box.lan", 80)
    assert allowed.name("s.lan", 443)
    for address, port, may in [
        ("10.1.2.3", 5, True),
        ("11.1.2.3", 5, False),
        ("fd00::5", 8080, True),
        ("fd00::5", 80, False),
        ("127.0.0.1", 11434, True),
        ("127.0.0.1", 11435, False),
        ("127.0.0.2", 11434, False),
    ]:
        assert allowed.address(ip_address(address), port) is may


def test_a_wide_range_does_not_open_the_metadata_service() -> None:
    for address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"):
        assert is_metadata(ip_address(address))
        assert not parse_allowed("0.0.0.0/0,::/0").address(ip_address(address), 80)
        assert parse_allowed(address).address(ip_address(address), 80)


@pytest.mark.parametrize("entry", ["2130706433", "a b", "10.0.0.0/40", "host:99999", "[::1", "0x7f.1", "http://", "*"])
def test_an_entry_that_cannot_be_understood_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"neither a host|does not appear|port"):
        parse_allowed(f"ollama, {entry}")
