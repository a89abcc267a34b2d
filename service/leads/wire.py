"""The JSON shapes of leads (contract 6.5)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.errors import BadRequest
from service.http.wire import BlankIsNone, Body, Date, IdText, Wire
from service.leads.types import Lead

LONGEST = 500


class LeadBody(Body):
    """Who somebody says that they are."""

    chatflowid: Annotated[UUID | None, BlankIsNone] = Field(
        None, alias="chatflowid", examples=["5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"]
    )
    chat_id: Annotated[str | None, IdText] = Field(None, max_length=LONGEST, examples=["c1"])
    name: str | None = Field(None, max_length=LONGEST, examples=["Anna"])
    email: str | None = Field(None, max_length=LONGEST, examples=["anna@example.org"])
    phone: str | None = Field(None, max_length=LONGEST)

    def flow(self) -> UUID:
        """The chatflow. Raises `BadRequest` when it is missing."""
        if self.chatflowid is None:
            raise BadRequest("chatflowid: is missing")
        return self.chatflowid


class LeadShown(Wire):
    """A person who talked to a chatflow."""

    id: UUID
    chatflowid: UUID = Field(alias="chatflowid")
    chat_id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    created_date: Date


def shown(found: Lead) -> LeadShown:
    """A lead as callers read it."""
    return LeadShown(
        id=found.id,
        chatflowid=found.chatflow,
        chat_id=found.chat,
        name=found.name,
        email=found.email,
        phone=found.phone,
        created_date=found.created_at,
    )
