"""Backends whose server this service starts itself: which URL asks for it, and how the server is started.

`chroma:///folder` is such a URL (`chroma:///` alone: a folder `chroma` among the service's data). The engine of a
folder belongs to one process, and the service has several, so a server stands between: on this machine's own address,
for as long as the service runs.
"""

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stores.vector.base import BadUrl, VectorStoreError, url_options

CHROMA = "chroma"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Engine:
    """A server to be started: its command, the folder that it alone may use, and the URL that reaches it."""

    command: tuple[str, ...]
    folder: Path
    url: str
    port: int

    def answers(self) -> bool:
        """Whether it listens."""
        try:
            socket.create_connection((HOST, self.port), 0.5).close()
        except OSError:
            return False
        return True


def engine_for(url: str, data: Path) -> Engine | None:
    """The server that this URL asks for, at a port that is free now; None for a URL that asks for none.

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
    with socket.create_server((HOST, 0)) as probe:
        port = int(probe.getsockname()[1])
    command = (str(_program()), "run", "--path", str(folder), "--host", HOST, "--port", str(port))
    return Engine(command, folder, f"{CHROMA}://{HOST}:{port}", port)


def _program() -> Path:
    found = Path(sys.executable).with_name(CHROMA)
    if not os.access(found, os.X_OK):
        raise VectorStoreError("chroma needs a program for its folder: pip install 'ragstone[chroma]'")
    return found
