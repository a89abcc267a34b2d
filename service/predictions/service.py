"""Begin predictions: let the caller in, find the flow as this call wants it, start its run; stop runs, and find them
again."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.engine import compile_flow
from service.chatflows.graph import Graph, Link, Node
from service.chatflows.keeping import keeping_of
from service.chatflows.run import Backing, Run
from service.chatflows.types import FlowType, StepEvent, Turn
from service.document_stores import search
from service.errors import ServiceError, Withheld
from service.http.access import Caller
from service.predictions import earlier, post_processing, records, uploads
from service.predictions.backing import backing
from service.predictions.events import FRAMES
from service.predictions.executing import SCHEDULE as SCHEDULE
from service.predictions.executing import answer_of as answer_of
from service.predictions.executing import recorded
from service.predictions.opening import ready
from service.predictions.runs import Running, signal
from service.predictions.text import clean
from service.predictions.types import ChatType, Occasion, Question
from service.predictions.uploads import Brought
from service.predictions.variables import variables_of
from service.predictions.work import Work, leave
from service.resources import Resources
from service.viewers import ANYBODY, Viewer, viewer_of

_PLACE = re.compile(rf"[0-9]{{1,9}}\.[0-{FRAMES - 1}]")
"""Of a frame in its stream: the first event that was not read whole, how many of its frames were."""


class StreamGone(ServiceError):
    """This stream cannot be gone on with here: it ended too long ago, or runs in another process of the service."""

    status, code = 410, "stream_gone"


@dataclass(frozen=True, slots=True)
class Prediction:
    """A run that has begun. `streams`: it is to be written as a stream; `full`: for somebody with a key of the
    workspace, who is shown all of it (showing.py)."""

    running: Running
    chat: str
    session: str
    question: str
    memory: str | None
    message: UUID
    streams: bool
    full: bool = False
    kind: FlowType = FlowType.CHATFLOW
    form: Mapping[str, Any] | None = None
    keeps: bool = True
    """Whether anything of it is stored."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A run that is read on from: the event `start`, behind `skip` of its frames."""

    running: Running
    start: int
    skip: int
    full: bool


async def ask(
    resources: Resources,
    flow_id: UUID,
    question: Question,
    *,
    token: str | None,
    origin: str | None,
    member: UUID | None = None,
    address: str = "",
    occasion: Occasion | None = None,
) -> Prediction:
    """Begin to answer. What can be refused before the model is asked is refused here. `address` is where the request
    came from, `occasion` what starts the flow where it is no such request.

    `member`: the caller's workspace, when it is an internal prediction (contract 1.10): the rules for visitors, the
    flow's own key and its origins, do not count.
    Raises `NotFound`, `Unauthorized` (the flow's key), `OriginRefused`, `NotBelieved` (whom it asks for),
    `FlowNotRunnable`, what `uploads.bring` raises, and what `executing.recorded` does; `Withheld` in place of what the
    caller may not read.
    """
    named, session_in = question.session or question.chat, partial(_session, question)
    asker = None if question.principals is None else Viewer(frozenset(question.principals))
    await _foresee(resources, flow_id, question)
    entrance = await chatflows.enter(resources, flow_id, token, named, session_in, member=member, viewer=asker)
    known, compiled, brought, recording = entrance.known, None, None, None
    name = (occasion.caller if occasion else "") or entrance.name
    full = _sees_all(entrance.caller, member)
    try:
        viewer = viewer_of(entrance.caller, question.principals)
        if member is None:
            _check_origin(known, origin, plain=question.streaming)
        function = post_processing.function_of(known.config)
        lent = backing(resources, viewer)
        post_processing.check(function, lent.script)
        if known.templates is None:
            compiled = await ready(resources, known, question.overrides)
        streams = question.streaming and known.streams
        chat = question.chat or question.session or str(uuid4())
        session = session_in(known) or chat
        brought = await uploads.bring(resources, known, entrance.caller, question, chat=chat, address=address)
        keeps = question.kept and keeping_of(known.flow.api_config).stores(resources.settings)
        before = await earlier.recalled(resources, known, entrance.history) if keeps else ()
        webhook = occasion.webhook if occasion else None
        variables = await variables_of(resources, known, question.variables)
        run = _run(known, question, brought, before, lent, chat, session, name, variables, webhook)
        if compiled is None:
            compiled = await ready(resources, known, question.overrides, run)
        message = uuid4()
        kind = occasion.type if occasion else _kind(entrance.caller, member, question)
        run, recording = await recorded(
            resources, known.flow, compiled, run, question, kind, keeps=keeps, member=member, occasion=occasion
        )
        work = Work(resources, known, compiled, run, name, message, question, kind, keeps, function, brought, recording)
        resumable = question.resumable and streams
        running = resources.runs.start(known.flow.id, chat, work, caller=name, resumable=resumable)
    except BaseException as error:
        await leave(resources, known, compiled, brought, recording)
        if isinstance(error, ServiceError) and not full:
            raise Withheld(error) from error
        raise
    label, kept = compiled.memory_label, (known.flow.type, question.form, keeps)
    return Prediction(running, chat, session, brought.question, label, message, streams, full, *kept)


async def _foresee(resources: Resources, flow_id: UUID, question: Question) -> None:
    """Have a first question embedded while the caller is let in: each takes long enough to be worth it (ADR 0058)."""
    known = resources.flows.get(flow_id)
    if known is None or known.compiled is None or question.session or question.chat or question.history:
        return
    if searched := known.compiled.searched:
        await search.foresee(resources, known.flow.workspace, searched, question.text)


def _session(question: Question, known: KnownFlow) -> str:
    """The session that a call names, else its flow; empty where neither does.

    Contract 1.1: a streamed call without a chat gets a new one before the memory node is asked, so the node's fixed
    session counts for plain calls only.
    """
    streams = question.streaming and known.streams
    return question.session or question.chat or ("" if streams or known.compiled is None else known.compiled.session)


def _run(
    known: KnownFlow,
    question: Question,
    brought: Brought,
    before: Sequence[Turn],
    lent: Backing,
    chat: str,
    session: str,
    caller: str,
    variables: Mapping[str, str],
    webhook: Mapping[str, Any] | None,
) -> Run:
    """The run that answers a question, with the turns `before` it and what the service `lent`."""
    return Run(
        workspace=known.flow.workspace,
        chatflow=known.flow.id,
        chat=chat,
        session=session,
        question=brought.question,
        history=(*question.history, *before),
        backing=lent,
        whole=not (question.streaming and known.streams),
        pictures=brought.pictures,
        documents=brought.documents,
        form=question.form,
        human=question.human,
        webhook=webhook,
        caller=caller,
        variables=variables,
        kept=question.kept,
    )


def _check_origin(known: KnownFlow, origin: str | None, *, plain: bool) -> None:
    """Raises `OriginRefused` in the flow's own words."""
    if origin and not known.allows(origin):
        raise chatflows.OriginRefused(str(known.config.get("allowedOriginsError") or ""), plain=plain)


def _kind(caller: Caller, member: UUID | None, question: Question) -> ChatType:
    if question.evaluation and (member is not None or caller.key is not None):
        return ChatType.EVALUATION
    return ChatType.EXTERNAL if member is None else ChatType.INTERNAL


def _sees_all(caller: Caller, member: UUID | None) -> bool:
    """Whether a caller is shown everything: one with a key of the workspace that speaks for itself."""
    return member is not None or (caller.key is not None and caller.principals is None)


async def resume(
    resources: Resources,
    flow_id: UUID,
    last: str,
    *,
    token: str | None,
    member: UUID | None = None,
    principals: Sequence[str] | None = None,
) -> Resumed:
    """Go on with a resumable stream behind the frame of the id `last` (`Writer`), for whom it was begun.

    Raises `NotFound`, `Unauthorized`, `StreamGone`."""
    asker = None if principals is None else Viewer(frozenset(principals))
    entrance = await chatflows.enter(resources, flow_id, token, "", lambda _: "", member=member, viewer=asker)
    resources.flows.release(entrance.known)
    run, _, place = last.partition(".")
    start, _, skip = place.partition(".")
    running = resources.runs.find(run)
    if running is None or running.flow != flow_id or running.caller != entrance.name:
        raise StreamGone
    if not (_PLACE.fullmatch(place) and int(start) + (skip != "0") <= len(running.events)):
        raise StreamGone
    return Resumed(running, int(start), int(skip), _sees_all(entrance.caller, member))


async def abort(resources: Resources, flow_id: UUID, chat: str) -> None:
    """Stop the runs of a chat in whatever process they are. Unknown chats are no error."""
    resources.runs.abort(flow_id, chat)
    async with resources.database.connection() as connection:
        await records.signal_abort(connection, signal(flow_id, chat))


async def ask_store(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    question: str,
    *,
    history: Sequence[Turn] = (),
    k: int = 4,
    viewer: Viewer = ANYBODY,
) -> AsyncGenerator[StepEvent, None]:
    """Answer `viewer` from a document store without a chatflow, with the service's own model; nothing is kept.

    Raises `NotFound` for an unknown document store, `ProviderError` when the model fails.
    """
    compiled = compile_flow(_store_graph(store_id, k), chat_model=resources.settings.chat_model)
    lent = replace(backing(resources, viewer), document_store=None)  # the search says itself that there is none
    try:
        await compiled.prepare(workspace, lent)
        run = Run(workspace, None, "", "", clean(question), history, lent)
        async with aclosing(compiled.run(run)) as events:
            async for event in events:
                yield event
    finally:
        await compiled.close()


def _store_graph(store_id: UUID, k: int) -> Graph:
    store = Node(
        "store",
        "documentStoreVS",
        "Document store",
        "Vector Stores",
        {"selectedStore": str(store_id), "topK": k},
        "retriever",
        "",
    )
    options = {"returnSourceDocuments": True}
    chain = Node("chain", "conversationalRetrievalQAChain", "Answer", "Chains", options, "", "")
    link = Link("store", "retriever", "chain", "vectorStoreRetriever")
    return Graph({"store": store, "chain": chain}, (link,))
