"""Variables over HTTP (contract 6.3)."""

from typing import Any
from uuid import UUID

from service.http.access import CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.wire import Deleted, Page, page_or_list
from service.resources import CurrentResources
from service.variables import service, wire
from service.variables.wire import NewVariable, VariableChange, VariableEntity, VariablePage

routes = Routes("Variables")

VIEW = needs("variables:view")
CREATE = needs("variables:create")
EDIT = needs("variables:create", "variables:update")
DELETE = needs("variables:delete")


@routes.post("/variables", CREATE, errors=(422,), summary="Keep a variable", response_model=VariableEntity)
async def create_variable(
    body: NewVariable, resources: CurrentResources, workspace: CurrentWorkspace
) -> VariableEntity:
    """Keeps a variable. Of several of one name the newest counts."""
    created = await service.create(resources.database, workspace, body.name, body.value, body.type)
    return wire.entity(created)


@routes.get(
    "/variables", VIEW, errors=(412,), summary="List variables", response_model=list[VariableEntity] | VariablePage
)
async def list_variables(resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Any:
    """The workspace's variables, last changed first: a list, or a page with its total for `page` and `limit`."""
    found, total = await service.page(resources.database, workspace, page.offset, page.size)
    return page_or_list([wire.entity(item) for item in found], total, page)


@routes.put("/variables/{id}", EDIT, errors=(404, 422), summary="Change a variable", response_model=VariableEntity)
async def update_variable(
    id: UUID, body: VariableChange, resources: CurrentResources, workspace: CurrentWorkspace
) -> VariableEntity:
    """Fields that are left out stay as they are. Runs that have begun go on with the former value."""
    return wire.entity(await service.update(resources.database, workspace, id, body.changes()))


@routes.delete("/variables/{id}", DELETE, errors=(404,), summary="Remove a variable", response_model=Deleted)
async def delete_variable(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes a variable at once."""
    return Deleted(affected=await service.delete(resources.database, workspace, id))
