"""The JSON shapes of executions (contract 6.4), and what the public sees of one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic import Field

from service.chatflows.types import Chatflow, RunStatus
from service.chatflows.wire import ChatflowEntity
from service.chatflows.wire import entity as flow_entity
from service.errors import BadRequest, Unprocessable
from service.executions.types import Execution
from service.http.wire import Body, Date, Wire
from service.secret_names import HIDDEN, REFERENCES, SECRET, is_secret, redacted_text

NODES = '[{"nodeId":"startAgentflow_0","nodeLabel":"Start","data":{},"previousNodeIds":[],"status":"FINISHED"}]'
FAILED = "It failed."
"""What everybody is told in place of an error, which may name what a flow is set up with (ADR 0060)."""
PROMPTS = frozenset({"system", "developer"})
"""Roles of messages that hold the owner's instructions to a model."""


class ExecutionEntity(Wire):
    """A run of an agentflow. `usage`, `error` and `parentExecutionId` are this service's own."""

    id: UUID
    execution_data: str = Field(description="The nodes that ran, as JSON text", examples=[NODES])
    state: RunStatus
    agentflow_id: UUID
    session_id: str = Field(examples=["c1"])
    action: str | None = Field(None, description="What may be answered, as JSON text")
    is_public: bool | None = None
    created_date: Date
    updated_date: Date
    stopped_date: Date | None = None
    workspace_id: UUID
    usage: dict[str, Any] | None = Field(None, description="Tokens that its models took")
    error: str | None = Field(None, description="Why it failed")
    parent_execution_id: UUID | None = Field(None, description="The run of another agentflow that called this flow")


class ListedExecution(ExecutionEntity):
    """An execution with its flow. Of what makes a page too large nothing is shown: `executionData` is `[]`, `flowData`
    of the flows is empty."""

    agentflow: ChatflowEntity


class ExecutionPage(Wire):
    """A page of executions and how many there are in all."""

    data: list[ListedExecution]
    total: int = Field(examples=[1])


class ExecutionChanges(Body):
    """What may be changed of an execution; every other field is ignored."""

    is_public: bool | None = None


class ExecutionIds(Body):
    """Executions that are to be removed."""

    execution_ids: list[str] | None = Field(None, examples=[["5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"]])

    def chosen(self) -> list[UUID]:
        """Their ids; what is none names no execution. Raises `BadRequest` without any."""
        if not self.execution_ids:
            raise BadRequest("No execution IDs provided")
        found = []
        for text in self.execution_ids:
            try:
                found.append(UUID(text))
            except ValueError:
                continue
        return found


class ExecutionsDeleted(Wire):
    """How many executions went."""

    success: bool = True
    deleted_count: int = Field(examples=[1])


def entity(found: Execution) -> ExecutionEntity:
    """An execution as its owners read it: without secrets."""
    return ExecutionEntity(**_values(found, [masked("", node) for node in found.nodes]))


def listed(found: Sequence[tuple[Execution, Chatflow]], room: int) -> list[ListedExecution]:
    """Executions with their flows, whose graphs are left out where all of them take more than `room` bytes."""
    fits = sum(len(flow.flow_data) for _, flow in found) <= room
    return [
        ListedExecution(
            **_values(item, [masked("", node) for node in item.nodes]),
            agentflow=flow_entity(flow if fits else replace(flow, flow_data="")),
        )
        for item, flow in found
    ]


def public(found: Execution) -> ExecutionEntity:
    """An execution as everybody reads it: besides, without credentials, instructions to models, why something failed,
    and the id of the session, which opens the conversation to callers without a key."""
    values = _values(found, [_public(masked("", node)) for node in found.nodes])
    closed = {"session_id": "", "action": None, "usage": None, "parent_execution_id": None}
    return ExecutionEntity(**{**values, **closed, "error": found.error and FAILED})


def _values(found: Execution, nodes: Sequence[Any]) -> dict[str, Any]:
    return {
        "id": found.id,
        "execution_data": _text(nodes),
        "state": found.state,
        "agentflow_id": found.chatflow,
        "session_id": found.session,
        "action": None if found.action is None else _text(masked("", found.action)),
        "is_public": found.is_public,
        "created_date": found.created_at,
        "updated_date": found.updated_at,
        "stopped_date": found.stopped_at,
        "workspace_id": found.workspace,
        "usage": None if found.usage is None else dict(found.usage),
        "error": found.error,
        "parent_execution_id": found.parent,
    }


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def masked(key: str, value: Any) -> Any:
    """A JSON value without its secrets: fields that hold one are `HIDDEN`, as are those in URLs."""
    if isinstance(value, Mapping):
        if SECRET.search(key) and key not in REFERENCES:
            return dict.fromkeys(value, HIDDEN)
        return {name: masked(name, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked("", item) for item in value]
    if value in (None, "", True, False) or isinstance(value, int | float):
        return value
    if is_secret(key, value):
        return HIDDEN
    return redacted_text(value) if isinstance(value, str) else value


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        if str(value.get("role", "")).lower() in PROMPTS:
            return {**value, "content": ""}
        shown = {name: _public(item) for name, item in value.items() if not _hidden(name)}
        return {**shown, "error": FAILED} if isinstance(shown.get("error"), str) else shown
    return [_public(item) for item in value] if isinstance(value, list | tuple) else value


def _hidden(name: str) -> bool:
    lower = name.lower()
    return name in REFERENCES or "credential" in lower or lower.endswith(("prompt", "instructions", "systemmessage"))


def execution_id(text: str) -> UUID:
    """The id in a path. Raises `BadRequest`."""
    try:
        return UUID(text)
    except ValueError:
        raise BadRequest(f"'{text[:100]}' is not an execution id: must be a UUID") from None


def id_in(name: str, value: str | None) -> UUID | None:
    """An id of a query. Raises `Unprocessable`, naming the parameter."""
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError:
        raise Unprocessable(f"{name}: '{value[:40]}' is not an id: must be a UUID") from None
