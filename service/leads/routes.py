"""Leads over HTTP (contract 6.5). Reading them needs a key, and works with one (Annex 2 no. 14)."""

from fastapi import Request

from service.chatflows.routes import VIEW, Id, flow_id
from service.http.access import PUBLIC, CurrentWorkspace
from service.http.routing import Routes
from service.http.wire import Page
from service.leads import service, wire
from service.leads.wire import LeadBody, LeadShown
from service.rate_limits import service as rate_limits
from service.resources import CurrentResources

routes = Routes("Feedback and leads")


@routes.post("/leads", PUBLIC, errors=(400, 403, 404, 429), summary="Say who is talking", response_model=LeadShown)
async def add_lead(body: LeadBody, request: Request, resources: CurrentResources) -> LeadShown:
    """What the widget sends when it asks people who they are; without `chatId`, a conversation gets a new one. It
    counts towards the flow's rate limit, as a question does."""
    await rate_limits.spend(resources, body.flow(), request.client and request.client.host)
    kept = await service.add(
        resources,
        body.flow(),
        chat=body.chat_id,
        name=body.name,
        email=body.email,
        phone=body.phone,
        origin=request.headers.get("origin"),
    )
    return wire.shown(kept)


@routes.get(
    "/leads/{chatflowid}",
    VIEW,
    errors=(400, 404, 412),
    summary="List who talked to a chatflow",
    response_model=list[LeadShown],
)
async def list_leads(
    chatflowid: Id,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    page: Page,
) -> list[LeadShown]:
    """Oldest first, ten thousand at most."""
    found = await service.of_flow(resources.database, workspace, flow_id(chatflowid), page.most)
    return [wire.shown(item) for item in found]


list_leads_without_id = routes.refuse(
    "GET",
    "/leads",
    VIEW,
    "list_leads_without_id",
    "chatflowid",
    summary="List who talked to a chatflow",
    response_model=list[LeadShown],
)
