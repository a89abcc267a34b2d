"""A flow as one call wants it: the inputs of its nodes that `overrideConfig` names and the flow's owner has opened."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.agentflows.flow import is_agentflow
from service.agentflows.templates import own_variable
from service.chatflows import graph as graphs
from service.chatflows.cache import KnownFlow
from service.chatflows.flow import Flow
from service.chatflows.graph import Graph
from service.chatflows.overrides import RESERVED, Gate
from service.chatflows.run import Run
from service.chatflows.service import compile_any, parse_config
from service.chatflows.texts import CODE, VARIABLES, texts_in
from service.chatflows.types import FlowNotRunnable, FlowType
from service.errors import BadRequest, Unprocessable
from service.json_text import parsed


class OverrideRefused(FlowNotRunnable):
    """A value that the call gives cannot be used."""

    private = False


def overridden(known: KnownFlow, overrides: Mapping[str, Any], chat_model: str, run: Run | None = None) -> Flow | None:
    """The flow with the inputs that this call may change, and those that `run` fills; None when nothing changes.

    What the author wrote is filled first: values of the call stand as they are, and hold no places.

    Steps that stay as they are are lent by the known flow, so that models which are open are not opened again; the
    caller closes the flow when the call has ended. Raises `FlowNotRunnable` naming the node and the field of a value
    that cannot be used, `BrokenGraph`.
    """
    gate = _gate(known)
    fills = known.templates is not None and run is not None
    if (not overrides or not gate.open) and not fills:
        return None
    written = graphs.parse(known.flow.flow_data)
    graph = known.templates.fill(written, run) if known.templates is not None and run is not None else written
    nodes = {name: gate.applied(graph, node, overrides) for name, node in graph.nodes.items()}
    if nodes == written.nodes:
        return None
    _refuse_code(overrides, gate, graph)
    _refuse_places(overrides, graph, known.flow.type)
    changed = replace(graph, nodes=nodes)
    try:
        return compile_any(changed, known.flow.type, chat_model=chat_model, lender=known.compiled)
    except FlowNotRunnable as error:
        if known.compiled is None or fills:
            raise
        raise OverrideRefused(error.message, error.problems) from error  # the flow itself compiles


def _refuse_places(overrides: Mapping[str, Any], graph: Graph, kind: FlowType) -> None:
    """Raises `Unprocessable` for a value that names a variable: a prompt would show it to whoever calls. Agentflows
    read the texts of their nodes after that, so there nothing of the flow's own may be named, in whatever spelling."""
    for name, value in overrides.items():
        if name in RESERVED:
            continue
        if any(VARIABLES in text for text in texts_in(value)):
            raise Unprocessable(f"overrideConfig.{name[:100]}: {{{{$vars...}}}} cannot be given by a call")
        if is_agentflow(graph, kind) and (found := own_variable(value, graph.nodes.keys())):
            raise Unprocessable(f"overrideConfig.{name[:100]}: {{{{{found[:100]}}}}} cannot be given by a call")


def _refuse_code(overrides: Mapping[str, Any], gate: Gate, graph: Graph) -> None:
    """Raises `Unprocessable` for code: it would see every variable of the workspace, whatever it is called."""
    for name, value in overrides.items():
        if any(gate.opens(node, name) for node in graph.nodes.values()) and _holds_code(name, value):
            raise Unprocessable(f"overrideConfig.{name[:100]}: code cannot be given by a call")


def _holds_code(name: str, value: Any) -> bool:
    pending = [(name, value)]
    while pending:
        field, held = pending.pop()
        if isinstance(held, Mapping):
            pending.extend((str(key), item) for key, item in held.items())
        elif isinstance(held, list):
            pending.extend((field, item) for item in held)
        elif isinstance(held, str) and held.strip():
            if CODE.search(field):
                return True
            pending += [(field, item) for item in _json_in(held)]
    return False


def _json_in(text: str) -> list[Any]:
    """The list or object whose JSON a text is: nodes read their rows from such texts too."""
    if text.lstrip()[:1] not in ("{", "["):
        return []
    try:
        held = parsed(text)
    except ValueError:
        return []
    return [held] if isinstance(held, dict | list) else []


def _gate(known: KnownFlow) -> Gate:
    try:
        return Gate.read(parse_config("apiConfig", known.flow.api_config))
    except BadRequest:
        return Gate()  # kept from before such texts were refused
