"""A flow as one call wants it: the inputs of its nodes that `overrideConfig` names and the flow's owner has opened."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.chatflows import graph as graphs
from service.chatflows.cache import KnownFlow
from service.chatflows.flow import Flow
from service.chatflows.overrides import Gate
from service.chatflows.service import compile_any, parse_config
from service.errors import BadRequest


def overridden(known: KnownFlow, overrides: Mapping[str, Any], chat_model: str) -> Flow | None:
    """The flow with the inputs that this call may change; None when it changes nothing.

    Steps that stay as they are are lent by the known flow, so that models which are open are not opened again; the
    caller closes the flow when the call has ended. Raises `FlowNotRunnable` naming the node and the field of a value
    that cannot be used, `BrokenGraph`.
    """
    gate = _gate(known)
    if not overrides or not gate.open:
        return None
    graph = graphs.parse(known.flow.flow_data)
    nodes = {name: gate.applied(graph, node, overrides) for name, node in graph.nodes.items()}
    if nodes == graph.nodes:
        return None
    changed = replace(graph, nodes=nodes)
    return compile_any(changed, known.flow.type, chat_model=chat_model, lender=known.compiled)


def _gate(known: KnownFlow) -> Gate:
    try:
        return Gate.read(parse_config("apiConfig", known.flow.api_config))
    except BadRequest:
        return Gate()  # kept from before such texts were refused
