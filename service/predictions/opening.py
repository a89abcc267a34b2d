"""Opens a flow for one call of it."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service.chatflows.cache import KnownFlow
from service.chatflows.flow import Flow
from service.chatflows.run import Run
from service.predictions.backing import backing
from service.predictions.overriding import overridden

if TYPE_CHECKING:
    from service.resources import Resources


async def ready(resources: "Resources", known: KnownFlow, overrides: Mapping[str, Any], run: Run | None = None) -> Flow:
    """The compiled flow with its models open, as the call changes it and `run` fills it, else the reason why it cannot
    run."""
    own = None
    if overrides or (run is not None and known.templates is not None):
        own = await asyncio.to_thread(overridden, known, overrides, resources.settings.chat_model, run)
    if known.compiled is not None:
        await known.compiled.prepare(known.flow.workspace, backing(resources))
    elif own is None:
        assert known.failure is not None
        raise known.failure
    if own is None:
        assert known.compiled is not None
        return known.compiled
    try:
        await own.prepare(known.flow.workspace, backing(resources))
    except BaseException:
        await own.close()
        raise
    return own
