"""What a prediction does: let the caller in, run the flow, say what happens, keep both messages once at the end."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.engine import CompiledFlow, compile_flow
from service.chatflows.graph import Graph, Link, Node
from service.chatflows.run import Run
from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    Passage,
    Sources,
    StepEvent,
    Structured,
    Token,
    ToolsUsed,
    ToolUse,
    Turn,
    Usage,
)
from service.errors import ServiceError
from service.predictions import records
from service.predictions.backing import backing
from service.predictions.events import Abort, End, Failure, Metadata
from service.predictions.overriding import overridden
from service.predictions.runs import Running, Stop, signal
from service.predictions.text import clean
from service.predictions.types import ChatType, Exchange, Question, State
from service.resources import Resources
from service.viewers import ANYBODY, Viewer, viewer_of

log = logging.getLogger("ragstone.predictions")

MAX_ANSWER = 1_000_000
"""Characters after which a model is stopped: it will not end by itself."""


class EndlessAnswer(ServiceError):
    """The model's answer does not end."""

    status, code = 502, "endless_answer"


class InternalFailure(ServiceError):
    """Internal error. The log of the service has the details."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A run that has begun. `streams`: it is to be written as a stream."""

    running: Running
    chat: str
    session: str
    question: str
    memory: str | None
    message: UUID
    streams: bool


@dataclass(slots=True)
class _Written:
    """What a run has produced."""

    texts: list[str] = field(default_factory=list)
    length: int = 0
    sources: tuple[Passage, ...] | None = None
    usage: list[Usage] = field(default_factory=list)
    structured: Structured | None = None
    tools: tuple[ToolUse, ...] | None = None
    artifacts: tuple[Mapping[str, Any], ...] | None = None
    action: Mapping[str, Any] | None = None

    @property
    def answer(self) -> str:
        """The answer's text; of a structured one its JSON."""
        if self.structured is not None:
            return json.dumps(self.structured.value, ensure_ascii=False, default=str)
        return "".join(self.texts)


async def ask(
    resources: Resources,
    flow_id: UUID,
    question: Question,
    *,
    token: str | None,
    origin: str | None,
    member: UUID | None = None,
) -> Prediction:
    """Begin to answer. What can be refused before the model is asked is refused here.

    `member`: the caller's workspace, when it is an internal prediction (contract 1.10): the rules for visitors, the
    flow's own key and its origins, do not count.
    Raises `NotFound`, `Unauthorized` (the flow's key), `OriginRefused`, `NotBelieved` (whom it asks for),
    `FlowNotRunnable`.
    """
    named = question.session or question.chat

    def session_in(known: KnownFlow) -> str:
        # Contract 1.1: a streamed call without a chat gets a new one before the memory node is asked, so the node's
        # fixed session counts for plain calls only.
        streams = question.streaming and known.streams
        return named or ("" if streams or known.compiled is None else known.compiled.session)

    asker = None if question.principals is None else Viewer(frozenset(question.principals))
    entrance = await chatflows.enter(resources, flow_id, token, named, session_in, member=member, viewer=asker)
    known, compiled = entrance.known, None
    try:
        viewer = viewer_of(entrance.caller, question.principals)
        if origin and member is None and not known.allows(origin):
            raise chatflows.OriginRefused(str(known.config.get("allowedOriginsError") or ""), plain=question.streaming)
        compiled = await _ready(resources, known, question.overrides)
        streams = question.streaming and known.streams
        chat = question.chat or question.session or str(uuid4())
        session = session_in(known) or chat
        run = Run(
            workspace=known.flow.workspace,
            chatflow=known.flow.id,
            chat=chat,
            session=session,
            question=question.text,
            history=(*question.history, *entrance.history),
            backing=backing(resources, viewer),
            whole=not streams,
        )
        message = uuid4()
        kind = ChatType.EXTERNAL if member is None else ChatType.INTERNAL
        work = _Work(resources, known, compiled, run, entrance.name, message, question.lead, kind)
        running = resources.runs.start(known.flow.id, chat, work)
    except BaseException:
        await _leave(resources, known, compiled)
        raise
    return Prediction(running, chat, session, question.text, compiled.memory_label, message, streams)


async def _ready(resources: Resources, known: KnownFlow, overrides: Mapping[str, Any]) -> CompiledFlow:
    """The compiled flow with its models open, as the call changes it, else the reason why it cannot run."""
    own = None
    if overrides:
        own = await asyncio.to_thread(overridden, known, overrides, resources.settings.chat_model)
    if known.compiled is not None:
        await known.compiled.prepare(known.flow.workspace, backing(resources))
    elif own is None:
        assert known.failure is not None
        raise known.failure
    if own is None:
        assert known.compiled is not None
        return known.compiled
    try:
        await own.prepare(known.flow.workspace, backing(resources))
    except BaseException:
        await own.close()
        raise
    return own


async def _leave(resources: Resources, known: KnownFlow, compiled: CompiledFlow | None) -> None:
    """Let go of a flow, and close what was made for one call of it."""
    try:
        if compiled is not None and compiled is not known.compiled:
            await compiled.close()
    finally:
        resources.flows.release(known)


@dataclass(frozen=True, slots=True)
class _Work:
    """Runs a flow to its end, whatever that is. Owns the hold on the flow that `enter` took."""

    resources: Resources
    known: KnownFlow
    compiled: CompiledFlow
    run: Run
    caller: str
    message: UUID
    lead: str | None
    type: ChatType

    async def __call__(self, running: Running) -> None:
        """Say the flow's events, store the exchange, say how it ended."""
        try:
            written = _Written()
            failure = await self._follow(running, written)
            running.complete()
            if running.stopped is Stop.ABORTED:
                running.say(Abort())
            if failure is None or written.answer:
                failure = await self._keep(running, written, failure) or failure
            if failure is not None:
                running.say(Failure(failure))
            elif running.stopped is None:
                running.say(self._metadata())
        finally:
            running.say(End())
            await _leave(self.resources, self.known, self.compiled)

    async def _follow(self, running: Running, written: _Written) -> ServiceError | None:
        """Pass the flow's events on until it ends, fails or is stopped; the failure, if so."""
        try:
            async with aclosing(self.compiled.run(self.run)) as events:
                async for event in events:
                    if running.stopped:
                        break
                    _note(event, written, running)
        except asyncio.CancelledError:
            if running.stopped is None:
                raise
            if task := asyncio.current_task():
                task.uncancel()
        except ServiceError as error:
            return None if running.stopped else error
        except Exception:
            log.exception("Unexpected failure of chatflow %s", self.run.chatflow)
            return InternalFailure()
        return None

    async def _keep(self, running: Running, written: _Written, failure: ServiceError | None) -> ServiceError | None:
        """Store the exchange. The failure to do so, if any: an answer that is not kept is not reported as complete."""
        state = State.FAILED if failure else State.ABORTED if running.stopped else State.COMPLETE
        exchange = Exchange(
            user_id=uuid4(),
            answer_id=self.message,
            chatflow=self.known.flow.id,
            caller=self.caller,
            session=self.run.session,
            chat=self.run.chat,
            type=self.type,
            question=self.run.question,
            answer=written.answer,
            state=state,
            sources=None if written.sources is None else [source_document(item) for item in written.sources],
            usage=_total(written.usage),
            tools=None if written.tools is None else [used_tool(item) for item in written.tools],
            artifacts=written.artifacts,
            action=written.action,
            memory=self.compiled.memory_label,
            lead=self.lead,
        )
        try:
            async with self.resources.database.read(self.run.workspace) as scope:
                if not await records.store(scope, exchange):
                    log.warning("Chatflow %s was deleted while it answered", exchange.chatflow)
        except Exception:
            log.exception("The messages of chatflow %s could not be stored", exchange.chatflow)
            return InternalFailure()
        return None

    def _metadata(self) -> Metadata:
        run = self.run
        return Metadata(run.chat, str(self.message), run.question, run.session, self.compiled.memory_label)


def _note(event: StepEvent, written: _Written, running: Running) -> None:
    match event:
        case Token():
            text = clean(event.text)
            written.length += len(text)
            if written.length > MAX_ANSWER:
                raise EndlessAnswer
            if text:
                written.texts.append(text)
                running.say(Token(text))
            return
        case Usage():
            written.usage.append(event)
            return
        case Sources():
            written.sources = event.passages
        case Structured():
            written.structured = event
        case ToolsUsed():
            written.tools = event.uses
        case Artifacts():
            written.artifacts = event.items
        case ActionWanted():
            written.action = event.action
    running.say(event)


def _total(usage: Sequence[Usage]) -> dict[str, Any] | None:
    """What all model calls of a run took."""
    if not usage:
        return None
    return {
        "inputTokens": sum(item.input_tokens for item in usage),
        "outputTokens": sum(item.output_tokens for item in usage),
        "calls": len(usage),
        "model": usage[-1].model,
    }


def source_document(passage: Passage) -> dict[str, Any]:
    """A source as clients read it (contract 1.2), with the chunk's id and score in its metadata."""
    metadata = {**passage.metadata, "score": round(passage.score, 6), "chunkId": passage.id}
    return {"pageContent": passage.text, "metadata": metadata}


def used_tool(use: ToolUse) -> dict[str, Any]:
    """A use of a tool as clients read it (contract 1.2)."""
    shown: dict[str, Any] = {"tool": use.tool, "toolInput": use.input, "toolOutput": use.output}
    if use.sources:
        shown["sourceDocuments"] = [source_document(item) for item in use.sources]
    return shown if use.error is None else {**shown, "error": use.error}


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
    lent = backing(resources, viewer)
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
