"""API keys over HTTP (contract 6.1)."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Request

from service.api_keys import service, wire
from service.api_keys.wire import ApiKeyEntity, ApiKeyPage, KeyDraft
from service.errors import Unauthorized
from service.http.access import PUBLIC, CurrentCaller, CurrentWorkspace, Verify, needs
from service.http.idempotency import UNKEPT
from service.http.routing import Routes
from service.http.wire import Deleted, Page, page_or_list
from service.resources import CurrentResources, Resources

routes = Routes("API keys")

VIEW = needs("apikeys:view")
CREATE = needs("apikeys:create")
EDIT = needs("apikeys:create", "apikeys:update")
DELETE = needs("apikeys:delete")


async def _list(resources: Resources, workspace: UUID) -> list[ApiKeyEntity]:
    return [wire.entity(*found) for found in await service.with_flows(resources.database, workspace)]


@routes.get("/apikey", VIEW, errors=(412,), summary="List API keys", response_model=list[ApiKeyEntity] | ApiKeyPage)
async def list_api_keys(resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Any:
    """The workspace's keys, oldest first, with the flows that are bound to each: a list, or a page with its total for
    `page` and `limit`. Keys themselves are kept as hashes: their ends are shown."""
    keys = await _list(resources, workspace)
    return page_or_list(keys[page.offset : page.offset + page.size], len(keys), page)


@routes.post("/apikey", CREATE, errors=(400, 412, 422), summary="Make an API key", response_model=list[ApiKeyEntity])
async def create_api_key(
    body: KeyDraft, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> list[ApiKeyEntity]:
    """A new key, among all of them: `apiKey` is the key itself, this once. Nobody gives permissions that they do not
    have; `*` stands for all of them."""
    setattr(request.state, UNKEPT, True)
    name, scopes = body.named(), service.granted(caller.scopes, body.wanted())
    made, secret = await service.create(resources.database, workspace, name, scopes)
    keys = await service.with_flows(resources.database, workspace)
    return [wire.entity(key, flows, secret if key.id == made.id else "") for key, flows in keys]


@routes.put(
    "/apikey/{id}",
    EDIT,
    errors=(400, 404, 412),
    summary="Change an API key",
    response_model=list[ApiKeyEntity],
)
async def update_api_key(
    id: UUID, body: KeyDraft, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> list[ApiKeyEntity]:
    """Another name and other permissions, which count from the key's next call on; answers with all keys. Nobody
    changes a key that may more than their own."""
    name, scopes = body.named(), service.granted(caller.scopes, body.wanted())
    await service.update(resources.database, workspace, id, name, scopes, caller.scopes)
    return await _list(resources, workspace)


@routes.delete("/apikey/{id}", DELETE, errors=(400, 404), summary="End an API key", response_model=Deleted)
async def delete_api_key(
    id: UUID, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Deleted:
    """Ends a key at once; flows that are bound to it are closed until they are bound to another one. Nobody ends a key
    that may more than their own."""
    await service.revoke(resources.database, workspace, id, caller.scopes)
    return Deleted(affected=1)


@routes.get(
    "/verify/apikey/{apikey}",
    PUBLIC,
    errors=(401,),
    summary="Whether an API key is accepted",
    response_model=Literal["OK"],
)
async def verify_api_key(
    apikey: Annotated[str, Path(description="The key itself", examples=["Zm9v…"])], request: Request
) -> Literal["OK"]:
    """`"OK"` for a key that is known and not revoked. Whoever has it could as well use it; logs do not hold it."""
    verify: Verify = request.app.state.verify
    if await verify(apikey) is None:
        raise Unauthorized
    return "OK"


update_api_key_without_id = routes.refuse(
    "PUT",
    "/apikey",
    EDIT,
    "update_api_key_without_id",
    "id",
    summary="Change an API key",
    response_model=list[ApiKeyEntity],
)
delete_api_key_without_id = routes.refuse(
    "DELETE", "/apikey", DELETE, "delete_api_key_without_id", "id", summary="End an API key", response_model=Deleted
)
