"""Open rerankers, one for each configuration, shared by every request of a process."""

import asyncio
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from service.egress.client import Egress
from service.providers.defaults import defaults_from
from service.providers.rerank import create_reranker, destination
from service.providers.rerank.base import Reranker
from service.settings import Settings

LOCAL = "sentence_transformers"
"""The reranker of stages that name none: the cross-encoder of the operator's folder."""

MAX_OPEN = 8
"""Rerankers kept open; the one not used for longest goes first."""


class RerankerPool:
    """Makes rerankers on first use and closes them with the process."""

    def __init__(self, settings: Settings, egress: Egress) -> None:
        """Nothing is loaded yet."""
        self._defaults = defaults_from(settings, egress)
        self._open: dict[str, Reranker] = {}
        self._lock = asyncio.Lock()

    async def get(
        self, name: str = LOCAL, config: Mapping[str, Any] | None = None, credential: Mapping[str, str] | None = None
    ) -> Reranker:
        """The reranker of this configuration. Raises what `create_reranker` raises."""
        key = json.dumps([name, dict(config or {}), dict(credential or {})], sort_keys=True, default=str)
        key = sha256(key.encode()).hexdigest()  # credentials do not stay in memory as keys
        async with self._lock:
            reranker = self._open.pop(key, None) or create_reranker(name, config, credential, defaults=self._defaults)
            self._open[key] = reranker
            if len(self._open) > MAX_OPEN:
                await self._open.pop(next(iter(self._open))).aclose()
        return reranker

    def destination(
        self, name: str, config: Mapping[str, Any], credential: Mapping[str, str] | None = None
    ) -> str | None:
        """The host that a credential of this reranker is sent to; None when nothing leaves this machine."""
        return destination(name, config, credential)

    async def close(self) -> None:
        """Close every reranker."""
        for reranker in self._open.values():
            await reranker.aclose()
        self._open.clear()
