"""A web site on loopback that answers as it is told, also wrongly; it notes every connection and request.

In a test::

    async with WebSite() as site:
        site["/"] = Answer("<a href=/next>")
        site["/next"] = lambda request: Answer(status=304) if "if-none-match" in request.headers else Answer("x")
        ... site.url ...
        site.paths, site.requests[-1].headers, site.connections
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Answer:
    """What is sent. `pieces` go out in place of `body`, each after `pause` seconds; `raw` in place of it all."""

    body: str | bytes = b""
    mime: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes] = ()
    pause: float = 0.0
    raw: bytes = b""


@dataclass(frozen=True)
class Request:
    """What came in. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def moved(location: str, status: int = 302) -> Answer:
    """A redirect."""
    return Answer(status=status, headers={"Location": location})


class WebSite:
    """The server; each connection serves one request. Paths without an answer are 404."""

    def __init__(self, *, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        """With a `context`, https."""
        self._answers: dict[str, Answer | Callable[[Request], Answer]] = {}
        self._context = context
        self._host = host
        self.requests: list[Request] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0

    def __setitem__(self, path: str, answer: Answer | Callable[[Request], Answer]) -> None:
        """What a path (with its query) answers."""
        self._answers[path] = answer

    def __delitem__(self, path: str) -> None:
        """Forget a path."""
        del self._answers[path]

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its root, without a slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._context else 'http'}://{host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, robots.txt left out."""
        return [request.path for request in self.requests if request.path != "/robots.txt"]

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            request = await _read(reader)
            self.requests.append(request)
            found = self._answers.get(request.path, Answer(status=404))
            await _write(writer, request, found(request) if callable(found) else found)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone: that is what some tests are about
        finally:
            self.open -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def _write(writer: asyncio.StreamWriter, request: Request, answer: Answer) -> None:
    if answer.raw:
        writer.write(answer.raw)
        await writer.drain()
        return
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    headers = {"Content-Type": answer.mime, "Connection": "close", **answer.headers}
    if not answer.pieces:
        headers.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Whatever\r\n{head}\r\n".encode("latin-1"))
    if request.method != "HEAD" and answer.status != 304:
        for piece in answer.pieces or [body]:
            await asyncio.sleep(answer.pause)
            writer.write(piece)
            await writer.drain()
    await writer.drain()
