"""Answers that are long under way: streams of events, and work that ends when the client goes away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


async def _gone(receive: Receive) -> None:
    """Until the client goes away. The body of the request has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_connected(receive: Receive, work: Awaitable[None], leave: Callable[[], None]) -> bool:
    """Wait for `work`; when the client goes away before, call `leave`, which makes the work end soon.

    False when the client has gone.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        connected = working.done()
        if not connected:
            leave()
        await working
        return connected
    except asyncio.CancelledError:
        leave()
        raise
    finally:
        working.cancel()
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


Hold = Callable[[Callable[[], None]], AbstractContextManager[None]]


def _free(_end: Callable[[], None]) -> AbstractContextManager[None]:
    return nullcontext()


class EventStream(Response):
    """A `text/event-stream` of frames. `leave` is called when the client goes away before the last frame."""

    def __init__(
        self, frames: AsyncIterator[bytes], leave: Callable[[], None], headers: Mapping[str, str] | None = None
    ) -> None:
        """`frames` ends by itself soon after `leave`. The content type carries no charset, as Flowise's."""
        self.status_code = 200
        self.background = None
        self._frames = frames
        self._leave = leave
        self._held: Hold = _free
        self.init_headers({"Content-Type": "text/event-stream", **(headers or {})})
        del self.headers["content-length"]

    def hold(self, held: Hold) -> None:
        """Have the stream ended from elsewhere: `held` is given what ends it, and left when it is over."""
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers at once, then every frame as it comes; the connection's pace is kept."""
        ended = False

        def end() -> None:
            nonlocal ended
            ended = True
            self._leave()

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

        async def write() -> None:
            async for frame in self._frames:
                if not ended:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            with self._held(end):
                await while_connected(receive, write(), self._leave)
        except OSError:
            self._leave()  # the server says so when a frame could not be sent
