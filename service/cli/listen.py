"""The socket that requests come in through, bound before anything else is started."""

import errno
import socket

from service.cli.exits import CommandError, InUse

TRIES = 100
"""Ports that are looked at, counting up from the default one."""


def listen(host: str, port: int, *, exactly: bool) -> socket.socket:
    """A listening socket on `host` and `port`, or on the next free port unless `exactly` that one is wanted.

    Raises `InUse` for a port that is taken, `CommandError` for an address that is not ours.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise CommandError(f"RAGSTONE_HOST: {host!r} is no address: {error.strerror}") from None
    for number in range(port, port + 1 if exactly else min(65536, port + TRIES)):
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((address[0], number, *address[2:]))
            opened.listen(2048)
        except OSError as error:
            opened.close()
            if error.errno != errno.EADDRINUSE:
                raise CommandError(f"cannot listen on {host}, port {number}: {error.strerror}") from None
        else:
            return opened
    if exactly:
        raise InUse(f"port {port} is taken: stop what listens there, or choose another with --port")
    raise InUse(f"no port is free from {port} on: choose one with --port")


def url_of(opened: socket.socket, host: str) -> str:
    """The URL under which this machine reaches the socket; a wildcard address is reached by loopback."""
    port = opened.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - it is looked up
    return f"http://[{name}]:{port}" if ":" in name and not name.startswith("[") else f"http://{name}:{port}"
