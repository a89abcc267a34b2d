"""Limits over HTTP."""

from service.http.access import SIGNED_IN
from service.http.routing import Routes
from service.limits import wire
from service.limits.wire import LimitShown
from service.resources import CurrentResources

routes = Routes("Service")


@routes.get("/limits", SIGNED_IN, summary="List limits", response_model=list[LimitShown])
async def list_limits(resources: CurrentResources) -> list[LimitShown]:
    """What may be asked of this service at most. Whoever crosses one is answered with 413 or 422 (429, 503 or 507 where
    it passes), and a message that begins with the limit's name."""
    return wire.shown(resources.settings)
