"""Keep chatflows, and know them: compiled, with their rules, for whoever runs them."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from pydantic.alias_generators import to_camel

from service.agentflows.flow import AgentFlow, compile_agentflow, is_agentflow
from service.api_keys import service as api_keys
from service.chatflows import graph as graphs
from service.chatflows import keeping, records, texts
from service.chatflows.cache import BELIEVED_SECONDS, KnownFlow
from service.chatflows.engine import CompiledFlow, compile_flow
from service.chatflows.flow import Flow
from service.chatflows.graph import Graph
from service.chatflows.rates import rate_limit_of
from service.chatflows.scripted import refuse_scripts
from service.chatflows.streaming import can_stream
from service.chatflows.types import BrokenGraph, Chatflow, Draft, FlowNotRunnable, FlowType, Role, Turn
from service.chatflows.uses import document_stores_in
from service.errors import BadRequest, Forbidden, NotFound, ServiceError, Unauthorized, Unprocessable
from service.http.access import Caller
from service.viewers import Viewer
from stores.records.database import Database, Scope

if TYPE_CHECKING:
    from service.resources import Resources

MAX_TURNS = 100
"""Messages of a session that a prediction sees."""

JSON_COLUMNS = (
    "chatbot_config",
    "api_config",
    "analytic",
    "speech_to_text",
    "text_to_speech",
    "follow_up_prompts",
    "mcp_server_config",
)


class OriginRefused(Forbidden):
    """This domain is not allowed to use the chatflow."""

    code = "origin_refused"


async def create(database: Database, workspace: UUID, draft: Draft, *, scripts: bool = True) -> Chatflow:
    """A new flow; nothing is stored unless all of it can be. `scripts`: JavaScript is switched on.

    Raises `BrokenGraph`, `BadRequest`, `Unprocessable`, `ScriptsOff`.
    """
    uses = await _check(database, workspace, draft, None, scripts=scripts)
    async with database.write(workspace) as scope:
        days = keeping.keeping_of(draft.api_config).days
        flow = await records.insert(scope, uuid4(), draft, message_days=days, document_stores=uses or ())
        await _keep_time(scope, flow)
    return flow


async def get(database: Database, workspace: UUID, flow_id: UUID) -> Chatflow:
    """A flow of the workspace, else `NotFound`."""
    async with database.read(workspace) as scope:
        flow = await records.get(scope, flow_id)
    if flow is None:
        raise missing(flow_id)
    return flow


async def hold(scope: Scope, flow_id: UUID) -> Chatflow | None:
    """A flow of the workspace, as it stays until the caller's transaction ends; None when it is gone."""
    return await records.get(scope, flow_id, lock=True)


async def page(
    database: Database, workspace: UUID, kind: FlowType | None, offset: int, size: int
) -> tuple[list[Chatflow], int]:
    """Flows of one kind or all, last changed first, and how many there are in all."""
    async with database.read(workspace) as scope:
        return await records.page(scope, kind, offset, size)


async def of_key(database: Database, workspace: UUID, key_id: UUID, *, only: bool) -> list[Chatflow]:
    """The flows that a key opens: those bound to it and, unless `only` these, those bound to none."""
    async with database.read(workspace) as scope:
        return await records.of_key(scope, key_id, only=only)


async def update(
    database: Database, workspace: UUID, flow_id: UUID, changes: Mapping[str, Any], *, scripts: bool = True
) -> Chatflow:
    """Change the columns that `changes` names. Raises as `create` does, and `NotFound`."""
    before = await get(database, workspace, flow_id)
    names = {item.name for item in fields(Draft)}
    draft = replace(_draft(before), **changes)
    uses = await _check(database, workspace, draft, before, names & changes.keys(), scripts=scripts)
    async with database.write(workspace) as scope:
        held = await records.get(scope, flow_id, lock=True)
        if held is None:
            raise missing(flow_id)
        draft = replace(_draft(held), **changes)
        days = keeping.keeping_of(draft.api_config).days
        changed = await records.update(scope, flow_id, draft, message_days=days, document_stores=uses)
        if changed and not changes.keys().isdisjoint(("flow_data", "type")):
            await _keep_time(scope, changed, known=True)
    if changed is None:
        raise missing(flow_id)
    return changed


async def _keep_time(scope: Scope, flow: Chatflow, *, known: bool = False) -> None:
    """Have the flow start by itself when its start node says so; `known`: it may have done so before."""
    from service.schedules.service import follow  # which knows executions, which know chatflows

    if known or flow.type is FlowType.AGENTFLOW:
        await follow(scope, flow)


async def delete(resources: "Resources", workspace: UUID, flow_id: UUID) -> int:
    """Remove a flow with its messages, what its vector stores hold and the files of its conversations: nobody finds
    them from now on, and jobs clear them away. Raises `NotFound`."""
    # these know the resources, which know chatflows
    from service.attachments.service import leave
    from service.document_stores.service import delete_owned
    from service.upsert_history.service import drop

    async with resources.database.write(workspace) as scope:
        affected = await records.delete(scope, flow_id)
        if not affected:
            raise missing(flow_id)
        await delete_owned(scope, resources, flow_id)
        await leave(scope, resources, flow_id)
        await drop(scope, flow_id)  # last: no job can add to it any more
    return affected


def missing(flow_id: object) -> NotFound:
    """There is no such flow: the message names it."""
    return NotFound(f"Chatflow {flow_id} not found")


def _draft(flow: Chatflow) -> Draft:
    return Draft(**{item.name: getattr(flow, item.name) for item in fields(Draft)})


async def _check(
    database: Database,
    workspace: UUID,
    draft: Draft,
    before: Chatflow | None,
    changed: set[str] | None = None,
    *,
    scripts: bool,
) -> list[UUID] | None:
    """Refuse what cannot be kept; gives the document stores that the graph names, None where it is as it was. What is
    not `changed` (None: everything is) stays as it was, good or bad: a flow with scripts of before they were switched
    off can still be renamed."""

    def is_new(column: str) -> bool:
        return changed is None or column in changed

    if is_new("name") and not draft.name.strip():
        raise Unprocessable("name: must not be empty")
    uses = None
    if is_new("flow_data"):
        graph = graphs.parse(draft.flow_data)
        if not scripts and (before is None or before.flow_data != draft.flow_data):
            refuse_scripts(graph)
        uses = document_stores_in(graph)
    for column in JSON_COLUMNS:
        if is_new(column):
            parsed = parse_config(to_camel(column), getattr(draft, column))
            if column == "api_config":
                rate_limit_of(parsed)
                keeping.read(parsed)
            if column == "chatbot_config" and not isinstance(parsed.get("allowedOrigins") or [], list):
                raise BadRequest("chatbotConfig.allowedOrigins: must be a list of addresses")
    key = draft.api_key_id
    if key is not None and (before is None or before.api_key_id != key):
        living = await api_keys.everything(database, workspace)
        if key not in {item.id for item in living}:
            raise Unprocessable(f"apikeyid: there is no API key {key} in this workspace")
    return uses


def parse_config(name: str, text: str | None) -> Mapping[str, Any]:
    """The object in a JSON column; empty for null, an empty text or a JSON null. Raises `BadRequest`."""
    try:
        parsed = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{name}: not JSON: {error}") from None
    if parsed is not None and not isinstance(parsed, dict):
        raise BadRequest(f"{name}: must be a JSON object")
    return parsed or {}


@dataclass(frozen=True, slots=True)
class Entrance:
    """A public call that was let in: the flow, who calls, what its conversations are kept under, the turns of the
    session so far."""

    known: KnownFlow
    caller: Caller
    name: str
    history: tuple[Turn, ...]


async def enter(
    resources: "Resources",
    flow_id: UUID,
    token: str | None,
    named: str,
    session_in: Callable[[KnownFlow], str],
    *,
    member: UUID | None = None,
    viewer: Viewer | None = None,
) -> Entrance:
    """Let a caller into a flow; one round trip once this process knows the flow. The flow is held open until the
    caller gives it to `resources.flows.release`.

    `named` is the session that the caller named; `session_in` says which one counts, given the flow. `member`: the
    workspace of a caller who comes in by a key of it, whichever key the flow is bound to. `viewer`: whom the caller
    says it asks for, None when it says nothing; that is not checked here, and each has conversations of its own.
    Raises `NotFound`, and `Unauthorized` when the flow is bound to another key than `token`.
    """
    with ExitStack() as stack:
        known = resources.flows.get(flow_id)
        session = named
        if known is not None:
            resources.flows.hold(known)
            stack.callback(resources.flows.release, known)
            session = session_in(known)
        row = await _row(resources, flow_id, token, session, viewer, known)
        if known is None or not _current(known, row):
            known = await _learn(resources, flow_id, row)
            resources.flows.hold(known)
            stack.callback(resources.flows.release, known)
            if session_in(known) != session or (known.compiled and known.compiled.named):
                row = await _row(resources, flow_id, token, session_in(known), viewer, known)
                known.stamp = row["stamp"]
        known.seen = time.monotonic()
        if member not in (None, known.flow.workspace):
            raise missing(flow_id)
        if member is None and row["api_key_id"] is not None and row["api_key_id"] != row["key_id"]:
            raise Unauthorized("Unauthorized: this chatflow needs its API key")
        resources.flows.hold(known)
        turns = tuple(
            Turn(Role(role), text, UUID(brought) if brought else None)
            for role, text, brought in reversed(row["turns"] or ())
        )
        caller = _caller(row, token)
        return Entrance(known, caller, caller.name + _suffix(viewer), turns)


def _caller(row: Mapping[str, Any], token: str | None) -> Caller:
    """Who presents the token: the holder of a living key of the flow's workspace, else nobody."""
    if row["key_id"] is None:
        return Caller(None, None, frozenset(), token)
    bound = row["key_principals"]
    principals = None if bound is None else frozenset(bound)
    return Caller(row["workspace_id"], row["key_id"], frozenset(row["key_scopes"]), token, principals)


def _suffix(viewer: Viewer | None) -> str:
    # who asks for nobody has not said nothing: a bound key that says nothing asks for whom it is bound to
    return "" if viewer is None else f"/{viewer.name or 'nobody'}"


def _current(known: KnownFlow, row: Mapping[str, Any]) -> bool:
    return bool(row["version"] == known.flow.version and row["stamp"] == known.stamp)


async def _row(
    resources: "Resources",
    flow_id: UUID,
    token: str | None,
    session: str,
    viewer: Viewer | None,
    known: KnownFlow | None,
) -> Mapping[str, Any]:
    compiled = known.compiled if known else None
    async with resources.database.connection() as connection:
        row = await records.enter(
            connection,
            id=flow_id,
            digest=sha256(token.encode("utf-8", "replace")).digest() if token else b"",
            session=session,
            viewer=_suffix(viewer),
            named=list(compiled.named) if compiled else [],
            turns=MAX_TURNS,
        )
    if row is None:
        resources.flows.forget(flow_id)
        raise missing(flow_id)
    return row


async def know(resources: "Resources", flow_id: UUID, *, believed: float = BELIEVED_SECONDS) -> KnownFlow:
    """What there is to know of a flow in whatever workspace, at most `believed` seconds old. Raises `NotFound`."""
    known = resources.flows.get(flow_id)
    if known is not None and time.monotonic() - known.seen < believed:
        return known
    async with resources.database.connection() as connection:
        version = await records.version(connection, flow_id)
    if version is None:
        resources.flows.forget(flow_id)
        raise missing(flow_id)
    if known is None or known.flow.version != version:
        return await _learn(resources, flow_id, {"version": version, "stamp": None})
    known.seen = time.monotonic()
    return known


async def check_origin(resources: "Resources", flow_id: UUID, origin: str | None) -> KnownFlow:
    """What there is to know of a flow that a page of this origin may use. Raises `NotFound`, `OriginRefused`."""
    known = await know(resources, flow_id)
    if origin and not known.allows(origin):
        raise OriginRefused(str(known.config.get("allowedOriginsError") or ""))
    return known


async def _learn(resources: "Resources", flow_id: UUID, row: Mapping[str, Any]) -> KnownFlow:
    """Read and compile the flow as it is now, once however many ask for it."""
    async with resources.flows.learning:
        known = resources.flows.get(flow_id)
        if known is not None and _current(known, row):
            return known
        async with resources.database.connection() as connection:
            flow = await records.find(connection, flow_id)
        if flow is None:
            raise missing(flow_id)
        # a large graph takes a while; other requests go on meanwhile
        known = await asyncio.to_thread(read, flow, chat_model=resources.settings.chat_model)
        for named in known.compiled.named if known.compiled else ():
            resources.stores.forget(flow.workspace, named)  # whether one is there is asked anew
        resources.flows.put(known)
        return known


def read(flow: Chatflow, *, chat_model: str = "") -> KnownFlow:
    """A stored flow, compiled, or with the reason why it cannot be."""
    config = _kept("chatbotConfig", flow.chatbot_config)
    try:
        rates = rate_limit_of(_kept("apiConfig", flow.api_config))
    except BadRequest:
        rates = None  # of before such were refused: this one never limited anybody
    try:
        graph = graphs.parse(flow.flow_data)
    except BrokenGraph as error:
        return KnownFlow(flow, config, False, None, error, rates)
    streams = can_stream(graph, flow.type, config)
    variables = texts.variables_in(flow.flow_data + (flow.chatbot_config or ""))
    templates = None if is_agentflow(graph, flow.type) else texts.find(graph)
    found = [] if templates is None else texts.problems(graph)
    try:
        if found:
            templates = None
            raise FlowNotRunnable("This flow cannot run. " + "; ".join(item.text for item in found), found)
        shared = graph if templates is None else templates.unset(graph)
        compiled = compile_any(shared, flow.type, chat_model=chat_model)
        if templates is not None and isinstance(compiled, CompiledFlow):
            compiled.deferred = templates.deferred
        return KnownFlow(flow, config, streams, compiled, None, rates, templates, variables)
    except ServiceError as error:
        return KnownFlow(flow, config, streams, None, error, rates, templates, variables)


def compile_any(graph: Graph, kind: FlowType, *, chat_model: str = "", lender: Flow | None = None) -> Flow:
    """What runs the graph, whatever kind of flow it is. `chat_model` and `lender` as `compile_flow` has them.

    Raises `FlowNotRunnable`, which names every node that stands in the way and why.
    """
    if is_agentflow(graph, kind):
        lent = lender if isinstance(lender, AgentFlow) else None
        return compile_agentflow(graph, chat_model=chat_model, lender=lent)
    return compile_flow(graph, chat_model=chat_model, lender=lender if isinstance(lender, CompiledFlow) else None)


def config_of(flow: Chatflow) -> Mapping[str, Any]:
    """A stored flow's `apiConfig`; empty where it is none."""
    return _kept("apiConfig", flow.api_config)


def _kept(name: str, text: str | None) -> Mapping[str, Any]:
    """A JSON column of a stored flow; empty where it is none."""
    try:
        return parse_config(name, text)
    except BadRequest:
        return {}
