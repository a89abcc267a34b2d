"""Credentials and their components over HTTP (contract 6.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from service.credentials import service, wire
from service.credentials.wire import (
    ComponentDefinition,
    CredentialChange,
    CredentialDetail,
    CredentialSummary,
    NewCredential,
    RevealedCredential,
    SavedCredential,
)
from service.http import icons
from service.http.access import PUBLIC, SIGNED_IN, CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.wire import Deleted
from service.resources import CurrentResources

routes = Routes("Credentials")

VIEW = needs("credentials:view")
CREATE = needs("credentials:create")
EDIT = needs("credentials:create", "credentials:update")
DELETE = needs("credentials:delete")


@routes.post("/credentials", CREATE, errors=(422,), summary="Save a credential", response_model=SavedCredential)
async def create_credential(
    body: NewCredential, resources: CurrentResources, workspace: CurrentWorkspace
) -> SavedCredential:
    """Seals the values and keeps them. They are never returned: neither in the clear nor sealed."""
    created = await service.create(
        resources.database, resources.keyring, workspace, body.name, body.credential_name, body.plain_data_obj
    )
    return wire.saved(created)


@routes.get("/credentials", VIEW, summary="List credentials", response_model=list[CredentialSummary])
async def list_credentials(
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    names: Annotated[
        list[str], Query(alias="credentialName", description="Only of this component; may be given several times")
    ] = [],  # noqa: B006  # read only; FastAPI wants the plain default
) -> list[CredentialSummary]:
    """The workspace's credentials by name, without their values."""
    return [wire.summary(item) for item in await service.everything(resources.database, workspace, names)]


@routes.get("/credentials/{id}", EDIT, errors=(404, 409), summary="Read a credential", response_model=CredentialDetail)
async def get_credential(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> CredentialDetail:
    """A credential for editing: each secret is replaced by the marker, which a PUT takes as "as it was"."""
    return wire.detail(await service.get(resources.database, resources.keyring, workspace, id))


@routes.get(
    "/credentials/{id}/reveal",
    EDIT,
    errors=(404, 409),
    summary="Read a credential's open values",
    response_model=RevealedCredential,
)
async def reveal_credential(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> RevealedCredential:
    """The values that are not secret. Secrets stay masked: they leave the service only towards their provider."""
    return wire.revealed(await service.get(resources.database, resources.keyring, workspace, id))


@routes.put(
    "/credentials/{id}",
    EDIT,
    errors=(404, 409, 422),
    summary="Change a credential",
    response_model=SavedCredential,
)
async def update_credential(
    id: UUID, body: CredentialChange, resources: CurrentResources, workspace: CurrentWorkspace
) -> SavedCredential:
    """Changes what is given. A secret given as the marker stays as it was, unless the component changes or a value
    that says where the secret is sent: then it must be given anew."""
    changed = await service.update(
        resources.database,
        resources.keyring,
        workspace,
        id,
        body.name,
        body.credential_name,
        body.plain_data_obj,
    )
    return wire.saved(changed)


@routes.delete("/credentials/{id}", DELETE, errors=(404,), summary="Remove a credential", response_model=Deleted)
async def delete_credential(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes a credential at once. What refers to it fails from then on with an error that names it."""
    return Deleted(affected=await service.delete(resources.database, workspace, id))


@routes.get(
    "/components-credentials",
    SIGNED_IN,
    summary="List kinds of credentials",
    response_model=list[ComponentDefinition],
    response_model_exclude_none=True,
)
async def list_credential_components() -> list[ComponentDefinition]:
    """Every kind of credential with the inputs it asks for, as forms need them."""
    return [wire.definition(item) for item in service.components()]


@routes.get(
    "/components-credentials/{name}",
    SIGNED_IN,
    errors=(404,),
    summary="Read kinds of credentials",
    response_model=ComponentDefinition | list[ComponentDefinition],
    response_model_exclude_none=True,
)
async def get_credential_component(name: str) -> ComponentDefinition | list[ComponentDefinition]:
    """One kind of credential; several names joined with `&amp;` are answered with a list."""
    found = [wire.definition(item) for item in service.components(name.split("&amp;"))]
    return found if "&amp;" in name else found[0]


@routes.get(
    "/components-credentials-icon/{name}",
    PUBLIC,
    errors=(404,),
    summary="The picture of a kind of credential",
    responses=icons.described("openAIApi", "OpenAI API"),
    response_class=Response,
)
async def get_credential_icon(name: str) -> Response:
    """A neutral picture with the component's letters, as forms show it."""
    (found,) = service.components([name])
    return icons.answer(found.name, found.label)
