"""What a process remembers of chatflows: compiled, with their rules, until they change."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from service.chatflows.flow import Flow
from service.chatflows.rates import RateLimit
from service.chatflows.texts import Templates
from service.chatflows.types import Chatflow
from service.errors import ServiceError

log = logging.getLogger("ragstone.chatflows")

MAX_KEPT = 256
"""Flows kept; the one not used for longest goes first."""

BELIEVED_SECONDS = 5.0
"""How long a flow is believed unchanged where only a signal would tell (the edge's CORS rule)."""


UNREACHABLE = "-"
"""Stands for an allowed origin that is no full URL: the list still closes the flow to all others."""


@dataclass(slots=True, eq=False)
class KnownFlow:
    """A version of a flow, read: its rules, and the compiled flow or why there is none."""

    flow: Chatflow
    config: Mapping[str, Any]
    """chatbotConfig, parsed."""
    streams: bool
    compiled: Flow | None
    failure: ServiceError | None
    rate_limit: RateLimit | None = None
    """How often visitors may call."""
    templates: Templates | None = None
    """Inputs that each run fills; the flow is then compiled for each."""
    variables: frozenset[str] | None = frozenset()
    """The variables that its runs may ask for; None: all."""
    stamp: str | None = None
    """State of the credentials, document stores, other flows and tools that it was compiled with."""
    seen: float = field(default_factory=time.monotonic)
    """When the database last confirmed the version."""
    users: int = 0
    retired: bool = False

    @property
    def hosts(self) -> frozenset[str]:
        """Hosts of `allowedOrigins` that may use the flow; empty: all (contract 1.5)."""
        origins = self.config.get("allowedOrigins")
        if not isinstance(origins, list) or not origins or not str(origins[0] or "").strip():
            return frozenset()
        return frozenset(host(str(origin)) or UNREACHABLE for origin in origins)

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may use the flow."""
        hosts = self.hosts
        return not hosts or host(origin) in hosts


def host(origin: str) -> str | None:
    """Host and port of a full URL; None for anything else."""
    try:
        return urlsplit(origin.strip()).netloc.lower() or None
    except ValueError:
        return None


class FlowCache:
    """The flows of a process by id. `notify` is the callback for the signals channel `records.CHANNEL`.

    A version that was replaced goes on for the runs that hold it, and is closed when the last one lets go.
    """

    def __init__(self) -> None:
        """Empty."""
        self.learning = asyncio.Lock()
        """Held while a flow is read, so that many callers of a changed flow read it once."""
        self._known: OrderedDict[UUID, KnownFlow] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, flow_id: UUID) -> KnownFlow | None:
        """What is known of a flow. It may have changed since `seen`."""
        known = self._known.get(flow_id)
        if known is not None:
            self._known.move_to_end(flow_id)
        return known

    def put(self, known: KnownFlow) -> None:
        """Remember a flow in place of its former version."""
        self.forget(known.flow.id)
        self._known[known.flow.id] = known
        if len(self._known) > MAX_KEPT:
            self.forget(next(iter(self._known)))

    def forget(self, flow_id: UUID) -> None:
        """Drop what is known of a flow."""
        if known := self._known.pop(flow_id, None):
            known.retired = True
            self._close_if_idle(known)

    def hold(self, known: KnownFlow) -> None:
        """Keep a version open until `release`, however often it is replaced."""
        known.users += 1

    def release(self, known: KnownFlow) -> None:
        """The counterpart of `hold`."""
        known.users -= 1
        self._close_if_idle(known)

    def notify(self, payload: str) -> None:
        """A flow, named by its id, was changed or removed."""
        try:
            self.forget(UUID(payload))
        except ValueError:
            log.warning("A signal about a chatflow without an id: %r", payload[:100])

    async def close(self) -> None:
        """Close every flow."""
        for flow_id in list(self._known):
            self.forget(flow_id)
        while self._closing:
            await asyncio.gather(*self._closing)

    def _close_if_idle(self, known: KnownFlow) -> None:
        if known.retired and not known.users and known.compiled:
            task = asyncio.get_running_loop().create_task(known.compiled.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
