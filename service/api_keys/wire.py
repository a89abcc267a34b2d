"""The JSON shapes of API keys (contract 6.1). A key itself is shown once, when it is made."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import Field

from service.api_keys.types import ApiKey, BoundFlow
from service.errors import MissingPart
from service.http.wire import Body, Date, Wire

MASK = "*" * 8
MAX_NAME = 200


class OpenedFlow(Wire):
    """A flow that is bound to a key."""

    flow_name: str = Field(examples=["Support"])
    category: list[str] = Field(examples=[["Tags"]])
    updated_date: Date


class ApiKeyEntity(Wire):
    """An API key. `lastUsedDate` is this service's own."""

    id: UUID
    api_key: str = Field(description="The key when it has just been made, else its end", examples=["********Zm9v"])
    api_secret: str = Field(MASK, description="Never shown")
    key_name: str = Field(examples=["Website"])
    permissions: list[str] = Field(examples=[["chatflows:view"]])
    updated_date: Date
    last_used_date: Date | None = None
    workspace_id: UUID
    chat_flows: list[OpenedFlow]


class ApiKeyPage(Wire):
    """A page of keys and how many there are in all."""

    total: int = Field(examples=[1])
    data: list[ApiKeyEntity]


class KeyDraft(Body):
    """The name and the permissions of a key."""

    key_name: str | None = Field(None, max_length=MAX_NAME, examples=["Website"])
    permissions: object = Field(None, description="A list of permissions", examples=[["chatflows:view"]])

    def named(self) -> str:
        """The name. Raises `MissingPart`."""
        name = (self.key_name or "").strip()
        if not name:
            raise MissingPart("keyName not provided!")
        return name

    def wanted(self) -> list[str]:
        """The permissions. Raises `MissingPart`."""
        found = self.permissions
        if not isinstance(found, list) or not found or not all(isinstance(item, str) for item in found):
            raise MissingPart("permissions not provided! They are a list of texts")
        return found


def entity(key: ApiKey, flows: Sequence[BoundFlow], secret: str = "") -> ApiKeyEntity:
    """A key as it is listed; `secret`: of the one that has just been made."""
    return ApiKeyEntity(
        id=key.id,
        api_key=secret or f"{MASK}{key.hint}",
        key_name=key.name,
        permissions=sorted(key.scopes),
        updated_date=key.created_at,
        last_used_date=key.used_at,
        workspace_id=key.workspace,
        chat_flows=[
            OpenedFlow(
                flow_name=flow.name,
                category=[part for part in (flow.category or "").split(";") if part],
                updated_date=flow.updated_at,
            )
            for flow in flows
        ],
    )
