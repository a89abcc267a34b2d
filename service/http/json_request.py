"""A request whose large JSON body is read beside the event loop."""

import asyncio
from typing import Any

from fastapi import Request

from service.json_text import AT_ONCE, read


class JsonRequest(Request):
    """As Starlette's. Other requests are served while a body of many megabytes is read."""

    async def json(self) -> Any:
        """The body as JSON. Raises `json.JSONDecodeError`, which the framework answers with 422."""
        if not hasattr(self, "_json"):
            body = await self.body()
            self._json = read(body) if len(body) <= AT_ONCE else await asyncio.to_thread(read, body)
        return self._json
