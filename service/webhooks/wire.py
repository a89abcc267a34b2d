"""The JSON shapes of webhooks (contract 6.9)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from service.errors import BadRequest
from service.http.wire import Date, Wire
from service.predictions.types import Question
from service.predictions.wire import parse_json
from service.secret_names import redacted
from service.webhooks.types import Delivery, DeliveryState


class WebhookSecret(Wire):
    """A secret, shown this once."""

    webhook_secret: str = Field(examples=["9f" * 32])


class WebhookAccepted(Wire):
    """The run goes on; what it says is sent to the flow's callback URL. Or the delivery came before, and its run is
    `executionId`."""

    chat_id: str
    status: str = Field(
        "PROCESSING", description="For a delivery that came before also SUCCESS or STOPPED", examples=["PROCESSING"]
    )
    execution_id: UUID | None = Field(None, description="Of a delivery that came before")


class ListenerMade(Wire):
    """A listener, for `stream`."""

    listener_id: UUID


class ListenerGone(Wire):
    """The listener is gone."""

    ok: bool = True


class DeliveryShown(Wire):
    """What was sent, or is to be, to a flow's callback URL."""

    id: UUID = Field(description="`Webhook-Id`")
    chat_id: str
    url: str = Field(examples=["https://example.com/callback"])
    state: DeliveryState
    attempts: int = Field(examples=[1])
    next_attempt_date: Date | None = None
    last_status: int | None = Field(None, examples=[200])
    last_error: str | None = None
    created_date: Date
    ended_date: Date | None = None


class DeliveryPage(Wire):
    """A page of deliveries and how many there are in all."""

    data: list[DeliveryShown]
    total: int = Field(examples=[1])


def shown(found: Delivery) -> DeliveryShown:
    """A delivery as the flow's owners read it."""
    pending: datetime | None = found.next_at if found.state is DeliveryState.PENDING else None
    return DeliveryShown(
        id=found.id,
        chat_id=found.callback.chat,
        url=redacted(found.callback.url),
        state=found.state,
        attempts=found.attempts,
        next_attempt_date=pending,
        last_status=found.last_status,
        last_error=found.last_error,
        created_date=found.created_at,
        ended_date=found.ended_at,
    )


def asked(fields: Mapping[str, Any], most: int) -> Question:
    """What a call says to the service: as predictions read it. Raises their errors."""
    session = fields.get("sessionId")
    told = {"humanInput": fields.get("humanInput"), "chatId": fields.get("chatId")}
    return parse_json(json.dumps({**told, "overrideConfig": {"sessionId": session}}).encode(), most).asked()


def listener_id(text: str) -> UUID:
    """The id in a path. Raises `BadRequest`."""
    try:
        return UUID(text)
    except ValueError:
        raise BadRequest(f"'{text[:100]}' is not the id of a listener: must be a UUID") from None
