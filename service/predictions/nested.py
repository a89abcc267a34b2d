"""Flows that other flows call: in the same process, as parts of the same run, with conversations of their own.

What is said is kept with the flow that was called, as its other conversations are, under a caller that no visitor can
be: the flow and the caller that it was called for. So nobody reads it who names the session.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.flow import Flow
from service.chatflows.keeping import keeping_of
from service.chatflows.run import Cited, Run
from service.chatflows.types import StepEvent
from service.errors import ServiceError, Unprocessable
from service.executions.service import Recording
from service.outages import outage_of
from service.predictions.executing import recorded_within
from service.predictions.keeping import Ending, columns, keep
from service.predictions.opening import ready
from service.predictions.types import ChatType, Exchange, State
from service.predictions.usage import Spent
from service.predictions.variables import variables_of
from service.predictions.work import InternalFailure, leave
from service.predictions.written import Written
from service.viewers import Viewer
from service.worker.postgres import OUT_OF_REACH

if TYPE_CHECKING:
    from service.resources import Resources

log = logging.getLogger("ragstone.predictions")

MAX_DEPTH = 5
"""How deep flows may call each other."""

AT_ONCE = 16
"""How many flows that are called equally deep one run has going at the same time. Those that call themselves several
times over come to the end that `MAX_DEPTH` sets before they have become thousands."""


class TooDeep(Unprocessable):
    """Flows call each other too deeply."""

    code = "flows_too_deep"


class Waits(Unprocessable):
    """A flow that another one called waits for a person: only one that was asked by its caller can do that."""

    code = "nested_flow_waits"


async def called(
    resources: "Resources",
    run: Run,
    flow: UUID,
    question: str,
    *,
    session: str = "",
    overrides: Mapping[str, Any] | None = None,
    form: Mapping[str, Any] | None = None,
    cited: Cited | None = None,
) -> AsyncGenerator[StepEvent, None]:
    """The events of a flow of the same workspace, run for `run`: the same viewer.

    `session` empty: that of its memory node, else that of `run`. What may be overridden says the owner of the flow, and
    which of the variables that the caller of `run` changed count here too. What its agents may cite goes to `cited`.
    Raises `NotFound`, `FlowNotRunnable`, `TooDeep`, `Waits`, and what the flow raises.
    """
    if run.depth >= MAX_DEPTH:
        raise TooDeep(f"Flows call each other more than {MAX_DEPTH} deep; the flow {flow} is not run")
    events = _called(resources, run, flow, question, session, overrides, form, cited)
    # A lane for each depth: who holds one waits for those of flows that are called deeper, and at last for none.
    async with run.lanes.setdefault(run.depth, asyncio.Semaphore(AT_ONCE)), aclosing(events):
        async for event in events:
            yield event


async def _called(
    resources: "Resources",
    run: Run,
    flow: UUID,
    question: str,
    session: str,
    overrides: Mapping[str, Any] | None,
    form: Mapping[str, Any] | None,
    cited: Cited | None,
) -> AsyncGenerator[StepEvent, None]:
    def session_in(known: KnownFlow) -> str:
        return session or (known.compiled.session if known.compiled else "") or run.session

    for_whom = Viewer(frozenset({f"flow {run.chatflow}", f"caller {run.caller}"}))
    entrance = await chatflows.enter(
        resources, flow, None, session or run.session, session_in, member=run.workspace, viewer=for_whom
    )
    known, compiled, recording, written = entrance.known, None, None, Written()
    failure: BaseException | None = None
    try:
        keeps = run.kept and keeping_of(known.flow.api_config).stores(resources.settings)
        inner = Run(
            workspace=run.workspace,
            chatflow=flow,
            chat=run.chat,
            session=session_in(known),
            question=question,
            history=entrance.history if keeps else (),
            backing=run.backing,
            whole=run.whole,
            caller=entrance.name,
            variables=await variables_of(resources, known, run.variables),
            form=form,
            cited=cited or Cited(),
            depth=run.depth + 1,
            lanes=run.lanes,
            kept=run.kept,
        )
        compiled = await ready(resources, known, overrides or {}, inner)
        inner, recording = await recorded_within(resources, known, compiled, inner, run.execution, keeps=keeps)
        written = Written(execution=inner.execution)
        async with aclosing(compiled.run(inner)) as events:
            async for event in events:
                if recording is not None:
                    recording.note(event)
                written.take(event)
                if written.action is not None:
                    raise Waits
                yield event
        spent = Spent.of(written.usage, resources.settings.prices)
        usage = _shown(spent)
        if keeps:
            ending = None if recording is None else partial(recording.end, usage=usage)
            await _keep(resources, inner, compiled, written, spent, ending)
        elif recording is not None:
            await recording.fail(None, usage=usage)
    except BaseException as error:
        failure = error
        raise
    finally:
        await _end(recording, failure, _shown(Spent.of(written.usage, resources.settings.prices)))
        await leave(resources, known, compiled, recording=recording)


def _shown(spent: Spent) -> Mapping[str, Any] | None:
    return spent.shown(full=True) if spent.models else None


async def _end(recording: Recording | None, failure: BaseException | None, usage: Mapping[str, Any] | None) -> None:
    """Write down how a run ended that did not come to its end: it failed, or whoever heard it has left. What cannot be
    written now ends with its lease."""
    if recording is None or recording.ended:
        return
    stopped = failure is None or isinstance(failure, asyncio.CancelledError | GeneratorExit)
    try:
        await recording.fail(None if failure is None or stopped else _told(failure), stopped=stopped, usage=usage)
    except OUT_OF_REACH as error:
        log.warning("Execution %s cannot be written now: %s", recording.id, error)


def _told(failure: BaseException) -> str:
    """What is told of a failure, to whoever reads executions too."""
    known = failure if isinstance(failure, ServiceError) else outage_of(failure)
    return (known or InternalFailure()).message


async def _keep(
    resources: "Resources", run: Run, compiled: Flow, written: Written, spent: Spent, ending: Ending | None
) -> None:
    assert run.chatflow is not None
    made: dict[str, Any] = {**columns(written, spent)}
    exchange = Exchange(
        user_id=uuid4(),
        answer_id=uuid4(),
        chatflow=run.chatflow,
        caller=run.caller,
        session=run.session,
        chat=run.chat,
        type=ChatType.INTERNAL,
        question=run.question,
        state=State.COMPLETE,
        memory=compiled.memory_label,
        lead=None,
        **made,
    )
    await keep(resources, run.workspace, exchange, ending=ending)
