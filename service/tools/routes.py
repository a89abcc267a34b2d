"""Tools over HTTP (contract 6.3)."""

from typing import Any
from uuid import UUID

from service.http.access import CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.wire import Deleted, Page, page_or_list
from service.resources import CurrentResources
from service.tools import service, wire
from service.tools.wire import NewTool, ToolChange, ToolEntity, ToolPage

routes = Routes("Tools")

VIEW = needs("tools:view")
CREATE = needs("tools:create")
EDIT = needs("tools:update", "tools:create")
DELETE = needs("tools:delete")


@routes.post("/tools", CREATE, errors=(422,), summary="Keep a tool", response_model=ToolEntity)
async def create_tool(body: NewTool, resources: CurrentResources, workspace: CurrentWorkspace) -> ToolEntity:
    """Keeps a tool with its function. It is not run: flows that use it need JavaScript to be switched on."""
    return wire.entity(await service.create(resources.database, workspace, body.draft()))


@routes.get("/tools", VIEW, errors=(412,), summary="List tools", response_model=list[ToolEntity] | ToolPage)
async def list_tools(resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Any:
    """The workspace's tools, last changed first: a list, or a page with its total for `page` and `limit`."""
    found, total = await service.page(resources.database, workspace, page.offset, page.size)
    return page_or_list([wire.entity(item) for item in found], total, page)


@routes.get("/tools/{id}", VIEW, errors=(404,), summary="Read a tool", response_model=ToolEntity)
async def get_tool(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> ToolEntity:
    """A tool of the workspace, with its function."""
    return wire.entity(await service.get(resources.database, workspace, id))


@routes.put("/tools/{id}", EDIT, errors=(404, 422), summary="Change a tool", response_model=ToolEntity)
async def update_tool(
    id: UUID, body: ToolChange, resources: CurrentResources, workspace: CurrentWorkspace
) -> ToolEntity:
    """Fields that are left out stay as they are. Flows use the tool as it is when they call it."""
    return wire.entity(await service.update(resources.database, workspace, id, body.changes()))


@routes.delete("/tools/{id}", DELETE, errors=(404,), summary="Remove a tool", response_model=Deleted)
async def delete_tool(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes a tool at once. Flows that name it fail from then on, with an error that says so."""
    return Deleted(affected=await service.delete(resources.database, workspace, id))
