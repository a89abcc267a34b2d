"""Reading from the sockets of children, on this side of the sandbox."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

from loaders.nursery import REPORT

_BLOCK = 1 << 18


class Channel:
    """Our end of a child's job socket."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock` does not block."""
        self._sock = sock

    async def send(self, data: bytes) -> None:
        """Sends all of `data`. Raises `ConnectionError` when the child is gone."""
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def some(self, most: int = _BLOCK) -> bytes:
        """What has come, `most` bytes at most; nothing at the end."""
        return await asyncio.get_running_loop().sock_recv(self._sock, most)

    async def exactly(self, length: int) -> bytes:
        """`length` bytes. Raises `ConnectionError` when the child stops before."""
        data = bytearray()
        async for block in self.pieces(length):
            data += block
        return bytes(data)

    async def pieces(self, length: int) -> AsyncIterator[bytes]:
        """`length` bytes as they come. Raises `ConnectionError` when the child stops before."""
        while length > 0:
            block = await self.some(min(length, _BLOCK))
            if not block:
                raise ConnectionResetError("the child has ended")
            length -= len(block)
            yield block


async def report(watch: socket.socket) -> tuple[int, int]:
    """Wait status and peak memory of a child; killed, when the helper has died."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < REPORT.size:
        try:
            block = await loop.sock_recv(watch, REPORT.size - len(data))
        except ConnectionError:
            block = b""
        if not block:
            return signal.SIGTERM, 0
        data += block
    status, peak = REPORT.unpack(data)
    return status, peak
