"""Evaluators over HTTP (contract 5.2), open to everyone (Annex 2 no. 19)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request

from service.evaluators import service, wire
from service.evaluators.wire import EvaluatorChange, EvaluatorEntity, EvaluatorPage, NewEvaluator
from service.http.access import CurrentWorkspace, needs
from service.http.asked import asked
from service.http.routing import Routes
from service.http.wire import Deleted, Page, page_or_list
from service.resources import CurrentResources, Resources

routes = Routes("Evaluators")

VIEW = needs("evaluators:view")
CREATE = needs("evaluators:create")
EDIT = needs("evaluators:create", "evaluators:update")
DELETE = needs("evaluators:delete")


@routes.get(
    "/evaluators",
    VIEW,
    errors=(412, 422),
    summary="List evaluators",
    response_model=list[EvaluatorEntity] | EvaluatorPage,
    response_model_exclude_none=True,
)
async def list_evaluators(resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Any:
    """The workspace's evaluators, last changed first: a list, or a page with its total for `page` and `limit`."""
    found, total = await service.page(resources.database, workspace, page.offset, page.size)
    return page_or_list([wire.entity(item) for item in found], total, page)


@routes.get(
    "/evaluators/{id}",
    VIEW,
    errors=(404,),
    summary="Read an evaluator",
    response_model=EvaluatorEntity,
    response_model_exclude_none=True,
)
async def get_evaluator(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> EvaluatorEntity:
    """An evaluator of the workspace, with the fields of its type."""
    return wire.entity(await service.get(resources.database, workspace, id))


@routes.post(
    "/evaluators",
    CREATE,
    errors=(400, 412, 422),
    summary="Keep an evaluator",
    body=NewEvaluator,
    response_model=EvaluatorEntity,
    response_model_exclude_none=True,
)
async def create_evaluator(
    request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> EvaluatorEntity:
    """Keeps an evaluator. Fields that its type has not are passed over."""
    return await _created(request, resources, workspace)


@routes.post(
    "/evaluators/{id}",
    CREATE,
    errors=(400, 412, 422),
    summary="Keep an evaluator, by a path with an id",
    body=NewEvaluator,
    response_model=EvaluatorEntity,
    response_model_exclude_none=True,
)
async def create_evaluator_with_id(
    id: Annotated[str, Path(description="Not looked at")],
    request: Request,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
) -> EvaluatorEntity:
    """As without the id, which says nothing: the evaluator gets one of its own."""
    return await _created(request, resources, workspace)


async def _created(request: Request, resources: Resources, workspace: UUID) -> EvaluatorEntity:
    body = await asked(request, NewEvaluator)
    return wire.entity(await service.create(resources.database, workspace, body.name, body.type, body.given()))


@routes.put(
    "/evaluators/{id}",
    EDIT,
    errors=(400, 404, 412, 422),
    summary="Change an evaluator",
    body=EvaluatorChange,
    response_model=EvaluatorEntity,
    response_model_exclude_none=True,
)
async def update_evaluator(
    id: UUID, request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> EvaluatorEntity:
    """Fields that are left out stay, while the type does."""
    body = await asked(request, EvaluatorChange)
    return wire.entity(await service.update(resources.database, workspace, id, body.given()))


@routes.delete("/evaluators/{id}", DELETE, errors=(404,), summary="Remove an evaluator", response_model=Deleted)
async def delete_evaluator(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes an evaluator. What it said in evaluations stays."""
    return Deleted(affected=await service.delete(resources.database, workspace, id))


update_evaluator_without_id = routes.refuse(
    "PUT",
    "/evaluators",
    EDIT,
    "update_evaluator_without_id",
    "id",
    summary="Change an evaluator",
    response_model=EvaluatorEntity,
)
