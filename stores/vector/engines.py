"""Backends whose server this service starts itself: which URL asks for it, and how the server is started.

`chroma:///folder` is such a URL (`chroma:///` alone: a folder `chroma` among the service's data). The engine of a
folder belongs to one process, and the service has several, so a server stands between: on this machine's own address,
for as long as the service runs.
"""

import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stores.vector.base import BadUrl, VectorStoreError, url_options

CHROMA = "chroma"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Engine:
    """A server to be started: its command, the folder that it alone may use, and the URL that reaches it.

    Its port is kept for it until `close`, however often the server ends and is started again.
    """

    command: tuple[str, ...]
    folder: Path
    url: str
    port: int
    held: socket.socket = field(repr=False, compare=False)

    def answers(self) -> bool:
        """Whether it listens."""
        try:
            socket.create_connection((HOST, self.port), 0.5).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Leave the port to others, when the server has ended."""
        self.held.close()


def held_port() -> tuple[int, socket.socket]:
    """A free port of this machine's own address, and a socket that listens to nobody there: until it is closed, the
    system gives the port to none that asks for any, and a server that is told its number gets it.

    Only Linux lets a server have it then (`SO_REUSEADDR`, which servers set); elsewhere the socket is closed already.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((HOST, 0))
    port = int(held.getsockname()[1])
    if sys.platform != "linux":
        held.close()
    return port, held


def engine_for(url: str, data: Path) -> Engine | None:
    """The server that this URL asks for, at a port that is kept for it; None for a URL that asks for none.

    Raises `BadUrl` for options, which a server of one's own has none of, and `VectorStoreError` when the program is not
    installed.
    """
    parts = urlsplit(url)
    if parts.scheme != CHROMA or parts.netloc:
        return None
    try:
        url_options(parts, {})
    except BadUrl as problem:
        raise BadUrl(f"{problem}: options are for a server of others, chroma://HOST:PORT") from None
    folder = Path(unquote(parts.path)) if parts.path.strip("/") else data / CHROMA
    program = str(_program())
    port, held = held_port()
    command = (program, "run", "--path", str(folder), "--host", HOST, "--port", str(port))
    return Engine(command, folder, f"{CHROMA}://{HOST}:{port}", port, held)


def _program() -> Path:
    found = Path(sys.executable).with_name(CHROMA)
    if not os.access(found, os.X_OK):
        raise VectorStoreError("chroma needs a program for its folder: pip install 'ragstone[chroma]'")
    return found
