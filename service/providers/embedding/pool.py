"""Open embedders, one for each configuration, shared by every request and job of a process."""

import asyncio
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from service.egress.client import Egress
from service.providers.defaults import Defaults, defaults_from
from service.providers.embedding import LOCAL, MINILM, create_embedder, destination
from service.providers.embedding.base import Embedder
from service.settings import Settings

MAX_OPEN = 32
"""Embedders kept open when nobody wants them; the one not wanted for longest goes first. The bundled one stays."""

IDLE_SECONDS = 3600.0
"""How long one must not have been wanted before it goes: jobs hold theirs, and pause for their provider's sake."""


class EmbedderPool:
    """Makes embedders on first use and closes them with the process."""

    def __init__(self, settings: Settings, egress: Egress) -> None:
        """Nothing is loaded yet."""
        self._defaults = defaults_from(settings, egress)
        self._open: dict[str, Embedder] = {}
        self._bundled: set[str] = set()
        self._lock = asyncio.Lock()

    async def get(
        self, name: str = LOCAL, config: Mapping[str, Any] | None = None, credential: Mapping[str, str] | None = None
    ) -> Embedder:
        """The embedder of this configuration. Raises what `create_embedder` raises."""
        if name == LOCAL and self._defaults.embedding_model_path is None:
            name = MINILM  # one model, loaded once
        key = json.dumps([name, dict(config or {}), dict(credential or {})], sort_keys=True, default=str)
        key = sha256(key.encode()).hexdigest()  # credentials do not stay in memory as keys
        async with self._lock:
            embedder = self._open.pop(key, None) or create_embedder(name, config, credential, defaults=self._defaults)
            self._open[key] = embedder
            embedder.touch()
            if name in (LOCAL, MINILM) and not config:
                self._bundled.add(key)
            await self._close_idle()
        return embedder

    async def _close_idle(self) -> None:
        """Close those that nobody wants, as far as there are too many."""
        idle = [key for key, each in self._open.items() if key not in self._bundled and each.idle > IDLE_SECONDS]
        idle.sort(key=lambda key: self._open[key].idle, reverse=True)
        for key in idle[: max(0, len(self._open) - MAX_OPEN)]:
            await self._open.pop(key).aclose()

    @property
    def defaults(self) -> Defaults:
        """What the service's settings say."""
        return self._defaults

    def destination(
        self, name: str, config: Mapping[str, Any], credential: Mapping[str, str] | None = None
    ) -> str | None:
        """The host that a credential of this embedding is sent to; None when nothing leaves this machine; empty where
        only the credential says it."""
        return destination(name, config, self._defaults, credential)

    async def close(self) -> None:
        """Close every embedder."""
        for embedder in self._open.values():
            await embedder.aclose()
        self._open.clear()
