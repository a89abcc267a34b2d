"""The event loop of the service's own processes."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run until it ends: on uvloop, whose sockets cost a fraction of asyncio's own, and without it where it is not made
    (Windows). Raises what `main` raises."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
