"""Follow what start nodes say of their times; queue what is due, once, in whatever process; show what became of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.chatflows.types import Chatflow
from service.errors import NotFound, Unprocessable
from service.executions import service as executions
from service.jobs import service as jobs
from service.resources import Resources
from service.schedules import records
from service.schedules.plan import plan_of, start_of
from service.schedules.types import CannotRun, Cron, FlowSchedule, InputMode, Plan, RunStatus, ScheduledRun, Standing
from service.timetable import next_after
from stores.records import facts
from stores.records.database import Scope

DUE_AT_ONCE = 50
"""Runs that a worker queues at a time."""

AT_ONCE = 200
"""Flows that are looked at in one go."""

FOLLOWED = "schedules_followed"
"""The fact that says that no flow is left of before there were schedules."""

STILL_RUNS = "The run before has not ended."

OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)

NEVER = Cron("0 0 30 2 *")
"""Kept of a start node whose times cannot be read: nothing is due by it."""


async def follow(scope: Scope, flow: Chatflow) -> None:
    """Keep the schedule of a flow as its start node now says, in the transaction that keeps the flow. A new one is
    switched on where it is complete; one that was switched off stays so; one that is incomplete is switched off; a flow
    that starts in another way has none."""
    start = start_of(flow)
    if start is None:
        await records.drop(scope, flow.id)
        return
    former = await records.of_flow(scope, flow.id, lock=True)
    now = await records.clock(scope)
    try:
        plan = plan_of(*start)
        enabled = (former is None or former.enabled) and not _over(plan, now)
    except CannotRun:
        plan, enabled = Plan(start[0], NEVER, InputMode.NONE), False
    following = _following(plan, now, enabled=enabled)
    if former is not None and former.enabled and enabled and former.plan.cron == plan.cron:
        following = former.next_run_at
    await records.put(scope, former.id if former else uuid4(), flow.id, plan, following, enabled=enabled)


async def follow_rest(resources: Resources) -> int:
    """Follow the agentflows that were kept before schedules were, as if they had been kept again; says how many start
    by a clock. Looks once in the life of a database: afterwards all are followed as they are kept. Any number of
    workers may do so."""
    if await facts.recall(resources.database, FOLLOWED) is not None:
        return 0
    followed, after = 0, UUID(int=0)
    while True:
        async with resources.database.connection() as connection:
            found = await records.without(connection, after, AT_ONCE)
        for workspace, flow_id in found:
            async with resources.database.write(workspace) as scope:
                flow = await chatflows.hold(scope, flow_id)
                if flow is not None and start_of(flow) is not None:
                    await follow(scope, flow)
                    followed += 1
        if len(found) < AT_ONCE:
            break
        after = found[-1][1]
    await facts.remember(resources.database, FOLLOWED, "all")
    return followed


def _over(plan: Plan, now: datetime) -> bool:
    return plan.end_at is not None and plan.end_at <= now


def _following(plan: Plan, now: datetime, *, enabled: bool = True) -> datetime | None:
    """When the flow is due after `now`; None: never again."""
    if not enabled:
        return None
    try:
        found = next_after(plan.cron, now)
    except Unprocessable:
        return None
    return None if plan.end_at is not None and found >= plan.end_at else found


async def standing(resources: Resources, flow: Chatflow) -> Standing:
    """Whether a flow's schedule is on, could be, and why not, by its start node as it is now."""
    async with resources.database.read(flow.workspace) as scope:
        schedule = await records.of_flow(scope, flow.id)
        now = await records.clock(scope)
    start = start_of(flow)
    if start is None:
        return Standing(schedule, can_enable=False, reason="Flow is not configured as a scheduled flow")
    try:
        if _over(plan_of(*start), now):
            raise CannotRun("End date is in the past")
    except CannotRun as error:
        return Standing(schedule, can_enable=False, reason=error.message)
    return Standing(schedule, can_enable=True, reason=None)


async def switch(resources: Resources, flow: Chatflow, *, enabled: bool) -> FlowSchedule:
    """Switch a flow's schedule on or off. Raises `NotFound` for a flow without one and for one that is gone,
    `CannotRun` with what it lacks."""
    now_standing = await standing(resources, flow)
    if start_of(flow) is None:
        raise NotFound("No schedule record found for this flow")
    if enabled and not now_standing.can_enable:
        raise CannotRun(now_standing.reason or "")
    async with resources.database.write(flow.workspace) as scope:
        if now_standing.schedule is None:  # the flow was kept before schedules were
            held = await chatflows.hold(scope, flow.id)
            if held is None:
                raise chatflows.missing(flow.id)
            await follow(scope, held)
        schedule = await records.of_flow(scope, flow.id, lock=True)
        if schedule is None:
            raise NotFound("No schedule record found for this flow")
        if schedule.enabled != enabled:
            following = _following(schedule.plan, await records.clock(scope), enabled=enabled)
            await records.switch(scope, flow.id, following, enabled=enabled)
        found = await records.of_flow(scope, flow.id)
    assert found is not None
    return found


async def runs(
    resources: Resources, flow: Chatflow, statuses: Sequence[str], offset: int, size: int
) -> tuple[list[ScheduledRun], int]:
    """The times of a flow, newest first, and how many there are in all."""
    async with resources.database.read(flow.workspace) as scope:
        return await records.page(scope, flow.id, statuses, offset, size)


async def delete(resources: Resources, flow: Chatflow, ids: Sequence[UUID]) -> tuple[int, int]:
    """Remove rows of a flow's runs and their executions; how many of each."""
    async with resources.database.write(flow.workspace) as scope:
        count, ran = await records.delete(scope, flow.id, ids)
        return count, await executions.delete_in(scope, ran)


async def queue_due(resources: Resources, now: datetime | None = None) -> int:
    """Queue a run of every flow whose time has come; says how many. Any number of workers may do so.

    `now` stands in for the database's clock. A flow that missed its time more than once runs once. One whose former run
    has not ended skips this time and waits for its next one. One whose last day is over is switched off.
    """
    queued = 0
    async with resources.database.transaction() as connection:
        for clock, schedule in await records.due(connection, now, DUE_AT_ONCE):
            queued += await _begin(Scope(connection, schedule.workspace), resources, schedule, clock)
    return queued


async def _begin(scope: Scope, resources: Resources, schedule: FlowSchedule, clock: datetime) -> int:
    at = schedule.next_run_at
    if at is not None and _ends(schedule.plan, at):
        await records.switch(scope, schedule.chatflow, None, enabled=False)
        return 0
    following = _following(schedule.plan, clock)
    if at is None or at > clock:  # the clock was set back
        await records.postpone(scope, schedule.id, following, min(schedule.queued_at or clock, clock))
        return 0
    former = await records.get(scope, schedule.run) if schedule.run else None
    busy = former is not None and former.status in OPEN
    status, error = (RunStatus.SKIPPED, STILL_RUNS) if busy else (RunStatus.QUEUED, None)
    run = ScheduledRun(
        uuid4(), schedule.workspace, schedule.chatflow, schedule.id, None, status, error, None, at, clock
    )
    await records.insert(scope, run)
    if busy:
        await records.postpone(scope, schedule.id, following, clock)
        return 0
    plan = schedule.plan
    payload = {
        "flowId": str(schedule.chatflow),
        "runId": str(run.id),
        "executionId": str(uuid4()),
        "question": plan.input,
        "form": plan.form,
    }
    await jobs.submit(scope, resources.queue, "scheduled", payload=payload)
    await records.begun(scope, schedule.id, run.id, following, clock)
    return 1


def _ends(plan: Plan, at: datetime) -> bool:
    return plan.end_at is not None and at >= plan.end_at


async def forget_old(resources: Resources) -> int:
    """Remove the rows of runs that ended long ago; says how many."""
    async with resources.database.connection() as connection:
        return await records.forget(connection, resources.settings.job_days)
