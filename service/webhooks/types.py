"""What starts an agentflow from outside, and what is sent back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.errors import BadRequest, NotFound, ServiceError, Unauthorized


class NoWebhook(NotFound):
    """The flow is not started by a webhook."""

    code = "no_webhook"


class MethodRefused(ServiceError):
    """The flow is not called by this method."""

    status, code = 405, "method_not_allowed"


class ContentRefused(ServiceError):
    """The flow does not take bodies of this type."""

    status, code = 415, "unsupported_media"


class SignatureWrong(Unauthorized):
    """The call is not signed, or not by the flow's secret."""

    code = "signature_wrong"


class FieldsMissing(BadRequest):
    """The call lacks what the flow demands."""

    code = "fields_missing"


class Mode(StrEnum):
    """How a call is answered."""

    SYNC = "sync"
    """With the result."""
    ASYNC = "async"
    """At once; the result follows in a call of ours."""
    STREAM = "stream"
    """With a stream of events."""


@dataclass(frozen=True, slots=True)
class Param:
    """A field that calls are to have. `kind` is one of the contract's names, empty where any will do."""

    name: str
    required: bool
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """How the start node of a flow is called, by its fields."""

    inputs: Mapping[str, Any]
    method: str
    """Empty: any."""
    content_type: str
    """Empty: any."""
    verifies: bool
    """Whether it insists on a signature; a secret that is there is always checked."""
    header: str
    """Where the signature stands, in lower case."""
    plain: bool
    """The secret itself stands there, not a signature."""
    timestamp_header: str
    """Where the moment of signing stands, in lower case; empty: nowhere."""
    tolerance: int
    """Seconds that a signature which names its moment is good for."""
    mode: Mode
    callback_url: str
    callback_secret: str
    headers: Sequence[Param] = ()
    query: Sequence[Param] = ()
    body: Sequence[Param] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call from outside. `headers` are in lower case; a field that comes several times is joined, or a list."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    content: bytes
    body: Any
    """The content, read."""


class DeliveryState(StrEnum):
    """Where what is sent back stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up."""


@dataclass(frozen=True, slots=True)
class Callback:
    """What is to be sent where, signed by what."""

    chatflow: UUID
    chat: str
    url: str
    secret: str
    """Empty: not signed."""
    own_secret: bool
    """Whether it is the start node's: Flowise's header is signed by that one alone."""
    body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call of ours, and how it went so far."""

    id: UUID
    workspace: UUID
    callback: Callback
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A call whose run goes on behind its answer, or that came before."""

    chat: str
    status: str = "PROCESSING"
    """That, or how the run of a call ended that came before: SUCCESS, STOPPED."""
    execution: UUID | None = None
    """The run of a call that came before."""
    behind: bool = True
    """Whether the flow answers behind the call."""
