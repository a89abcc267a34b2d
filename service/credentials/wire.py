"""The JSON shapes of credentials (contract 6.2). No shape has a place for a secret."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.credentials.service import masked
from service.credentials.types import BLANK, Component, Credential, OpenCredential, Value
from service.http.wire import Body, Date, Wire

SHOWN = {"openAIApiKey": BLANK}

ICONS = "/api/v1/components-credentials-icon/"


class NewCredential(Body):
    """A credential to save."""

    name: str = Field(description="What people call it", examples=["OpenAI, team account"])
    credential_name: str = Field(description="Its component", examples=["openAIApi"])
    plain_data_obj: dict[str, Value] = Field(
        description="A value for each input of the component", examples=[{"openAIApiKey": "sk-…"}]
    )


class CredentialChange(Body):
    """What to change of a credential. What is left out stays, and so does a secret given as the marker."""

    name: str | None = Field(None, description="What people call it", examples=["OpenAI, team account"])
    credential_name: str | None = Field(None, description="Its component", examples=["openAIApi"])
    plain_data_obj: dict[str, Value] = Field(
        default_factory=dict, description="Values by input; the marker keeps a secret", examples=[SHOWN]
    )


class CredentialSummary(Wire):
    """A credential without its values."""

    id: UUID
    name: str = Field(examples=["OpenAI, team account"])
    credential_name: str = Field(examples=["openAIApi"])
    created_date: Date
    updated_date: Date
    workspace_id: UUID


class SavedCredential(CredentialSummary):
    """A credential as it was saved."""

    encrypted_data: str = Field(BLANK, description="Always the marker: values are not returned, sealed or not")


class CredentialDetail(CredentialSummary):
    """A credential with those of its values that are not secret."""

    plain_data_obj: dict[str, Value] = Field(
        description="Values by input; the marker in place of each secret", examples=[SHOWN]
    )


class RevealedCredential(Wire):
    """The values of a credential that are not secret."""

    plain_data_obj: dict[str, Value] = Field(
        description="Values by input; the marker in place of each secret", examples=[SHOWN]
    )


class ComponentInput(BaseModel):
    """One value that a component asks for. `password` and `url` are secrets."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(examples=["OpenAI Api Key"])
    name: str = Field(examples=["openAIApiKey"])
    type: str = Field(examples=["password"])
    optional: bool | None = None
    default: Value | None = None


class ComponentDefinition(BaseModel):
    """A kind of credential and what it asks for."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(examples=["OpenAI API"])
    name: str = Field(examples=["openAIApi"])
    version: float = Field(examples=[1.0])
    description: str | None = None
    inputs: list[ComponentInput]
    icon: str = Field(examples=["/api/v1/components-credentials-icon/openAIApi"])
    optional: bool | None = None


def _fields(credential: Credential) -> Mapping[str, object]:
    return {
        "id": credential.id,
        "name": credential.name,
        "credential_name": credential.component,
        "created_date": credential.created_at,
        "updated_date": credential.updated_at,
        "workspace_id": credential.workspace,
    }


def summary(credential: Credential) -> CredentialSummary:
    """A credential in a list."""
    return CredentialSummary.model_validate(_fields(credential))


def saved(credential: Credential) -> SavedCredential:
    """The answer to saving a credential."""
    return SavedCredential.model_validate(_fields(credential))


def detail(found: OpenCredential) -> CredentialDetail:
    """A credential with its secrets masked."""
    return CredentialDetail.model_validate({**_fields(found.credential), "plain_data_obj": masked(found)})


def revealed(found: OpenCredential) -> RevealedCredential:
    """The values of a credential with its secrets masked."""
    return RevealedCredential(plain_data_obj=masked(found))


def definition(component: Component) -> ComponentDefinition:
    """A component as forms read it."""
    return ComponentDefinition(
        label=component.label,
        name=component.name,
        version=component.version,
        description=component.description,
        inputs=[
            ComponentInput(
                label=item.label,
                name=item.name,
                type=item.type.value,
                optional=item.optional or None,
                default=item.default,
            )
            for item in component.inputs
        ],
        icon=ICONS + component.name,
        optional=component.optional or None,
    )
