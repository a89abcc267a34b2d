"""A request whose large JSON body is read beside the event loop."""

import asyncio
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from service.json_text import AT_ONCE, MOST_VALUES, TooManyValues, read


class JsonRequest(Request):
    """As Starlette's. Other requests are served while a body of many megabytes is read, and few enough values are in it
    that they do not wait while it is validated either."""

    async def json(self) -> Any:
        """The body as JSON. Raises `json.JSONDecodeError`, which the framework answers with 422, and `HTTPException`,
        which it lets through, for a long one with more values than are read."""
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                self._json = read(body) if len(body) <= AT_ONCE else await asyncio.to_thread(read, body, MOST_VALUES)
            except TooManyValues as error:
                raise HTTPException(413, f"max_values: the body has {error}") from None
        return self._json
