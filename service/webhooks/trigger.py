"""Reads the start node of an agentflow that is started from outside, and holds calls against it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.chatflows import graph as graphs
from service.chatflows.types import BrokenGraph, Chatflow, FlowType
from service.webhooks.types import (
    Call,
    ContentRefused,
    FieldsMissing,
    MethodRefused,
    Mode,
    NoWebhook,
    Param,
    Trigger,
)

START = "startAgentflow"
INPUT = "webhookTrigger"
HEADER = "x-webhook-signature"
TOLERANCE = 300
LONGEST_TOLERANCE = 24 * 3600

_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: _is_number(value) or (isinstance(value, str) and _reads_as_number(value)),
    "boolean": lambda value: isinstance(value, bool) or value in ("true", "false"),
    "object": lambda value: isinstance(value, Mapping),
    "array[string]": lambda value: _all(value, lambda item: isinstance(item, str)),
    "array[number]": lambda value: _all(value, lambda item: _is_number(item)),
    "array[boolean]": lambda value: _all(value, lambda item: isinstance(item, bool)),
    "array[object]": lambda value: _all(value, lambda item: isinstance(item, Mapping)),
}
"""What values of a declared type look like; forms send numbers and truth values as texts."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _all(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(fits, value))


def trigger_of(flow: Chatflow) -> Trigger:
    """How the flow is called. Raises `NoWebhook`."""
    inputs = start_inputs(flow, INPUT)
    if inputs is None:
        raise NoWebhook(f"Chatflow {flow.id} is not configured as a webhook trigger")
    mode = inputs.get("webhookResponseMode")
    validates = inputs.get("webhookEnableValidation")
    checked = validates is True or "webhookEnableValidation" not in inputs  # older nodes have no switch for it
    return Trigger(
        inputs=inputs,
        method=_text(inputs, "webhookMethod").upper(),
        content_type=_text(inputs, "webhookContentType").lower(),
        verifies=inputs.get("webhookEnableAuth") is True,
        header=(_text(inputs, "webhookSignatureHeader") or HEADER).lower(),
        plain=_text(inputs, "webhookSignatureType") == "plain-token",
        timestamp_header=_text(inputs, "webhookTimestampHeader").lower(),
        tolerance=_seconds(inputs.get("webhookTimestampTolerance")),
        mode=Mode(mode) if mode in set(Mode) else Mode.SYNC,
        callback_url=_text(inputs, "callbackUrl"),
        callback_secret=_text(inputs, "callbackSecret"),
        headers=_params(inputs, "webhookHeaderParams") if checked else (),
        query=_params(inputs, "webhookQueryParams") if checked else (),
        body=_params(inputs, "webhookBodyParams") if checked else (),
    )


def start_inputs(flow: Chatflow, kind: str) -> Mapping[str, Any] | None:
    """The fields of the flow's start node, if it is an agentflow that starts in this way."""
    if flow.type is not FlowType.AGENTFLOW:
        return None
    try:
        nodes = graphs.parse(flow.flow_data).nodes.values()
    except BrokenGraph:
        return None
    start = next((node for node in nodes if node.name == START), None)
    return start.inputs if start is not None and start.inputs.get("startInputType") == kind else None


def check(trigger: Trigger, call: Call) -> None:
    """Refuse a call that is not as the start node wants it: `MethodRefused`, `ContentRefused`, `FieldsMissing`."""
    if trigger.method and call.method != trigger.method:
        raise MethodRefused(
            f"Method {call.method} not allowed. Expected {trigger.method}", headers={"Allow": trigger.method}
        )
    kind = call.headers.get("content-type", "")
    if trigger.content_type and call.content and not kind.lower().startswith(trigger.content_type):
        raise ContentRefused(f"Content-Type {kind[:100] or '(none)'} not allowed. Expected {trigger.content_type}")
    fields = call.body if isinstance(call.body, Mapping) else {}
    _demand("headers", [item for item in trigger.headers if call.headers.get(item.name.lower()) is None])
    _demand("webhook body parameters", [item for item in trigger.body if fields.get(item.name) is None])
    wrong = [item.name for item in trigger.body if not _fits(item, fields.get(item.name))]
    if wrong:
        raise FieldsMissing(f"Invalid type for parameter(s): {', '.join(wrong)}")
    _demand("query parameters", [item for item in trigger.query if call.query.get(item.name) is None])


def _demand(what: str, absent: Sequence[Param]) -> None:
    missing = [item.name for item in absent if item.required]
    if missing:
        raise FieldsMissing(f"Missing required {what}: {', '.join(missing)}")


def _fits(param: Param, value: Any) -> bool:
    return value is None or param.kind not in _KINDS or _KINDS[param.kind](value)


def _params(inputs: Mapping[str, Any], name: str) -> tuple[Param, ...]:
    given = inputs.get(name)
    items = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []
    return tuple(
        Param(str(item["name"]), item.get("required") in (True, "true"), str(item.get("type") or ""))
        for item in items
        if item.get("name")
    )


def _text(inputs: Mapping[str, Any], name: str) -> str:
    value = inputs.get(name)
    return value.strip() if isinstance(value, str) else ""


def _seconds(value: Any) -> int:
    try:
        return min(max(1, int(value)), LONGEST_TOLERANCE)
    except (TypeError, ValueError):
        return TOLERANCE
