"""A run from its first event to its last: say what happens, keep both messages once at the end."""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from service.agentflows.flow import AgentFlow
from service.chatflows.cache import KnownFlow
from service.chatflows.flow import Flow
from service.chatflows.run import Run
from service.chatflows.types import FlowStatus, RunStatus
from service.errors import ServiceError
from service.executions.service import Recording
from service.outages import outage_of
from service.predictions import follow_ups, keeping, post_processing
from service.predictions.events import Abort, End, Failure, Metadata
from service.predictions.executing import said
from service.predictions.follow_ups import Proposed, Wish
from service.predictions.keeping import Ending
from service.predictions.runs import Running, Stop
from service.predictions.types import ChatType, Exchange, Question, State
from service.predictions.uploads import Brought
from service.predictions.usage import Spent
from service.predictions.written import Written
from service.resources import Resources

log = logging.getLogger("ragstone.predictions")


class InternalFailure(ServiceError):
    """Internal error. The log of the service has the details."""


@dataclass(frozen=True, slots=True)
class Work:
    """Runs a flow to its end, whatever that is. Owns the hold on the flow that `enter` took."""

    resources: Resources
    known: KnownFlow
    compiled: Flow
    run: Run
    caller: str
    message: UUID
    """Id of the answer."""
    asked: Question
    type: ChatType
    keeps: bool
    """Whether anything of it is stored."""
    function: str = ""
    """JavaScript that works on the answer."""
    brought: Brought | None = None
    """The uploads: kept with the exchange, or gone."""
    recording: Recording | None = None
    """What writes the run of an agentflow down."""

    async def __call__(self, running: Running) -> None:
        """Say the flow's events, store the exchange, say how it ended."""
        try:
            written = Written(holds=bool(self.function), execution=self.recording.id if self.recording else None)
            failure = await self._follow(running, written)
            running.complete()
            if failure is None:
                running.say(*written.rest())
            if running.stopped is Stop.ABORTED:
                if isinstance(self.compiled, AgentFlow):
                    running.say(FlowStatus(RunStatus.TERMINATED))
                running.say(Abort())
            whole = failure is None and running.stopped is None
            proposed = await self._propose(running, written) if whole else None
            spent = Spent.of(written.usage, self.resources.settings.prices)
            if self.keeps and (failure is None or written.answer):
                failure = await self._keep(running, written, spent, proposed, failure) or failure
            await self._record(running, spent, failure)
            if failure is not None:
                running.say(Failure(failure))
            elif running.stopped is None:
                running.say(self._metadata(written, spent, proposed))
        finally:
            if self.recording is not None:
                await self.recording.close()
            running.say(End())
            await leave(self.resources, self.known, self.compiled, self.brought)

    async def _follow(self, running: Running, written: Written) -> ServiceError | None:
        """Pass the flow's events on until it ends, fails or is stopped; the failure, if so."""
        failure: ServiceError | None = None
        try:
            async with aclosing(self.compiled.run(self.run)) as events:
                async for event in events:
                    if running.stopped:
                        break
                    if self.recording is not None:
                        self.recording.note(event)
                    for part in written.take(event):
                        running.say(part)
            if self.function and not running.stopped:
                running.say(*written.replace(await post_processing.process(self.function, self.run, written)))
                return None
        except asyncio.CancelledError:
            if running.stopped is None:
                raise
            if task := asyncio.current_task():
                task.uncancel()
        except ServiceError as error:
            failure = None if running.stopped else error
        except Exception as error:
            log.exception("Unexpected failure of chatflow %s", self.run.chatflow)
            failure = outage_of(error) or InternalFailure()
        written.withhold()
        return failure

    async def _propose(self, running: Running, written: Written) -> Proposed | None:
        """Questions to ask next, where the flow's owner wants some. Nothing that happens here harms the answer."""
        wish = follow_ups.wished(self.known.flow.follow_up_prompts)
        if wish is None or written.action is not None:
            return None
        found = await running.aside(self._asked_for(wish, written)) or Proposed(())
        written.usage += found.usage
        return found

    async def _asked_for(self, wish: Wish, written: Written) -> Proposed:
        run = self.run
        ask = partial(follow_ups.propose, wish, run.workspace, run.backing, run.question, written.answer)
        try:
            async with asyncio.timeout(follow_ups.SECONDS):
                return await ask(written.sources or ())
        except (ServiceError, ValueError, TimeoutError) as error:
            log.warning("No follow-up prompts of chatflow %s: %s", run.chatflow, str(error) or "too slow")
        except Exception:
            log.exception("No follow-up prompts of chatflow %s", run.chatflow)
        return Proposed(())

    async def _keep(
        self,
        running: Running,
        written: Written,
        spent: Spent,
        proposed: Proposed | None,
        failure: ServiceError | None,
    ) -> ServiceError | None:
        """Store the exchange. The failure to do so, if any: an answer that is not kept is not reported as complete."""
        made: dict[str, Any] = {**keeping.columns(written, spent)}
        exchange = Exchange(
            user_id=uuid4(),
            answer_id=self.message,
            chatflow=self.known.flow.id,
            caller=self.caller,
            session=self.run.session,
            chat=self.run.chat,
            type=self.type,
            question=said(self.run, self.asked_text),
            state=State.FAILED if failure else State.ABORTED if running.stopped else State.COMPLETE,
            memory=self.compiled.memory_label,
            lead=self.asked.lead,
            follow_ups=None if proposed is None else proposed.questions,
            uploads=(self.brought and self.brought.named) or None,
            **made,
        )
        try:
            await keeping.keep(
                self.resources, self.run.workspace, exchange, self.brought, self._ending(running, spent, failure)
            )
        except Exception as error:
            log.exception("The messages of chatflow %s could not be stored", exchange.chatflow)
            return outage_of(error) or InternalFailure()
        return None

    @property
    def asked_text(self) -> str:
        """The question as it was asked now: a run that goes on has the one that it began with."""
        return self.run.question if self.run.human is None else self.asked.text

    def _ending(self, running: Running, spent: Spent, failure: ServiceError | None) -> Ending | None:
        """What writes down how the run of an agentflow ended; None where that has been done, or there is none."""
        if self.recording is None or self.recording.ended:
            return None
        return partial(
            self.recording.end,
            error=failure.message if failure else None,
            stopped=running.stopped is not None,
            usage=spent.shown(full=True) if spent.models else None,
            answer=self.message,
        )

    async def _record(self, running: Running, spent: Spent, failure: ServiceError | None) -> None:
        """Write down how the run of an agentflow ended that left no messages."""
        ending = self._ending(running, spent, failure)
        if ending is None:
            return
        try:
            async with self.resources.database.read(self.run.workspace) as scope:
                await ending(scope)
        except Exception:
            log.exception("The execution of chatflow %s could not be written", self.run.chatflow)

    def _metadata(self, written: Written, spent: Spent, proposed: Proposed | None) -> Metadata:
        run = self.run
        return Metadata(
            run.chat,
            str(self.message),
            self.asked_text,
            run.session,
            self.compiled.memory_label,
            usage=spent,
            follow_ups=None if proposed is None else proposed.questions,
            action=written.action,
            execution=None if written.execution is None else str(written.execution),
        )


async def leave(
    resources: Resources,
    known: KnownFlow,
    compiled: Flow | None,
    brought: Brought | None = None,
    recording: Recording | None = None,
) -> None:
    """Let go of a flow, close what was made for one call of it, remove uploads that were not kept."""
    try:
        if recording is not None:
            await recording.close()
        if brought is not None:
            await brought.drop(resources.blobs)
        if compiled is not None and compiled is not known.compiled:
            await compiled.close()
    finally:
        resources.flows.release(known)
