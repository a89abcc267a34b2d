"""Calls from outside start agentflows; the secrets that sign them; what is sent back, until it has arrived."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4, uuid5

from service.agentflows.nodes.start import asked_by
from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.types import RunStatus
from service.egress.errors import EgressRefused
from service.errors import BadRequest
from service.executions import service as executions
from service.executions.types import Once, Owner
from service.jobs import service as jobs
from service.predictions import service as predictions
from service.predictions.service import Prediction
from service.predictions.types import ChatType, Occasion, Question
from service.resources import Resources
from service.webhooks import records, repeats, signatures
from service.webhooks.contents import body_of, shown_headers
from service.webhooks.listeners import mirror
from service.webhooks.trigger import check, trigger_of
from service.webhooks.types import Accepted, Call, Callback, Delivery, Mode, SignatureWrong, Trigger
from stores.records.database import Database, Scope

SECRET_BYTES = 32

ROOM = 2
"""Calls from outside are taken in while no more than so much of the workspace's queue is in use, half of it: whoever
knows a flow's id can make them, and uploads need room too."""

FAILED = (RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.TERMINATED)

TOLD = {RunStatus.FINISHED: "SUCCESS", RunStatus.STOPPED: "STOPPED"}
"""What is said of a run that a delivery started before; of any other that it goes on."""

ATTEMPTS = 100
"""How often a delivery that fails is run."""

DUE_AT_ONCE = 100
"""Deliveries that a worker queues at a time."""

ATTEMPT_SECONDS = 300.0
"""A delivery whose job says nothing for so long is queued anew."""

FRAME_SECONDS = 600.0
"""For how long frames are kept for those who look on."""


# Calls


async def call(
    resources: Resources,
    flow_id: UUID,
    given: Call,
    asked: Callable[[Mapping[str, Any]], Question],
    *,
    token: str | None,
    origin: str | None,
    address: str,
) -> Prediction | Accepted:
    """Start the agentflow as its start node says, or go on with the run that the call answers; `given.body` is read
    here. `asked` makes a question of the fields of a body that mean something to the service: `humanInput`, `chatId`,
    `sessionId`.

    Raises `NotFound`, `NoWebhook`, `SignatureWrong`, `MethodRefused`, `ContentRefused`, `FieldsMissing`, `BadRequest`,
    and what predictions raise.
    """
    known = await chatflows.know(resources, flow_id, believed=0)
    trigger = trigger_of(known.flow)
    moment = await _verify(resources.database, known, trigger, given)
    given = replace(given, body=await asyncio.to_thread(body_of, given.headers.get("content-type", ""), given.content))
    fields = given.body if isinstance(given.body, Mapping) else {}
    question = asked({name: fields.get(name) for name in ("humanInput", "chatId", "sessionId")})
    if question.human is None:
        check(trigger, given)
    seen = {"body": given.body, "headers": shown_headers(trigger, given.headers), "query": given.query}
    text = "" if question.human else asked_by(seen, trigger.inputs)
    question = replace(question, text=text, streaming=trigger.mode is Mode.STREAM)
    if question.human is not None:
        once = repeats.answering(known.flow, given, moment)
        return await _start(resources, known, trigger, question, seen, uuid4(), token, origin, address, once)
    execution, first = uuid4(), await repeats.first_run(resources.database, known.flow, given, moment)
    if first is not None:
        execution, status = await _run_of(resources.database, known, first)
        if not (question.chat or question.session):
            question = replace(question, chat=str(uuid5(execution, "chat")))
        if status is not None:
            entrance = await chatflows.enter(resources, flow_id, token, "", lambda _: "")
            resources.flows.release(entrance.known)
            told, behind = TOLD.get(status, "PROCESSING"), trigger.mode is Mode.ASYNC
            return Accepted(question.chat or question.session, told, execution, behind)
    return await _start(resources, known, trigger, question, seen, execution, token, origin, address)


async def _start(
    resources: Resources,
    known: KnownFlow,
    trigger: Trigger,
    question: Question,
    seen: Mapping[str, Any],
    execution: UUID,
    token: str | None,
    origin: str | None,
    address: str,
    once: Once | None = None,
) -> Prediction | Accepted:
    """Run what is asked, or queue it, as the start node says; `once` is done with what takes an answer."""
    if trigger.mode is Mode.ASYNC:
        return await _accept(resources, known, trigger, question, seen, token, execution, once)
    occasion = Occasion(ChatType.WEBHOOK, execution=execution, webhook=seen, once=once)
    prediction = await predictions.ask(
        resources, known.flow.id, question, token=token, origin=origin, address=address, occasion=occasion
    )
    await mirror(resources, known.flow.workspace, known.flow.id, prediction)
    return prediction


async def _run_of(database: Database, known: KnownFlow, first: UUID) -> tuple[UUID, RunStatus | None]:
    """The id of the run that a delivery starts, and how that is if it has begun before. One that failed or was stopped
    is run anew: the sender has heard so, and that is why it sends again."""
    for attempt in range(ATTEMPTS):
        execution = repeats.next_run(first, attempt)
        status = await executions.standing(database, known.flow.workspace, execution)
        if status not in FAILED:
            return execution, status
    raise executions.BegunBefore(f"This delivery has failed {ATTEMPTS} times: it is not run again")


async def _verify(database: Database, known: KnownFlow, trigger: Trigger, given: Call) -> str:
    """A flow that has a secret is called by those who know it; the moment of signing, if that is signed. Raises
    `SignatureWrong`."""
    async with database.read(known.flow.workspace) as scope:
        secret = await records.secret_of(scope, known.flow.id)
    if secret is not None:
        return signatures.verify(trigger, secret, given.headers, given.content, time.time())
    if trigger.verifies:
        raise SignatureWrong(
            "Webhook signature verification is enabled but no secret has been generated;"
            " POST /api/v1/chatflows/{id}/webhook-secret makes one"
        )
    return ""


async def _accept(
    resources: Resources,
    known: KnownFlow,
    trigger: Trigger,
    question: Question,
    seen: Mapping[str, Any],
    token: str | None,
    execution: UUID,
    once: Once | None,
) -> Accepted:
    """Queue the run: from now on it survives this process."""
    flow = known.flow
    if trigger.callback_url:
        try:
            resources.egress.check(trigger.callback_url)
        except EgressRefused as error:
            raise BadRequest(f"Invalid callbackUrl: {error.withheld()}") from None
    entrance = await chatflows.enter(resources, flow.id, token, "", lambda _: "")
    resources.flows.release(entrance.known)
    chat = question.chat or question.session or str(uuid4())
    session = question.session or chat
    answer = predictions.answer_of(question, None)
    if answer is not None:
        owner = Owner(flow.id, entrance.name, session, chat, ChatType.WEBHOOK)
        await executions.check(resources.database, flow.workspace, owner, answer)
    human = question.human
    payload = {
        "flowId": str(flow.id),
        "executionId": str(execution),
        "caller": entrance.name,
        "chatId": chat,
        "sessionId": session,
        "question": question.text,
        "webhook": seen,
        "human": None if human is None else [human.decision.value, human.node, human.feedback],
        "callbackUrl": trigger.callback_url,
        "callbackSecret": trigger.callback_secret,
    }
    async with resources.database.write(flow.workspace) as scope:
        if once is not None:
            await once(scope)
        await jobs.check_room(scope, max(1, resources.settings.max_queued_jobs // ROOM))
        await jobs.submit(scope, resources.queue, "webhook", payload=payload)
    return Accepted(chat)


# Secrets


async def make_secret(resources: Resources, workspace: UUID, flow_id: UUID) -> str:
    """A new secret of a flow, in place of a former one; it is shown this once. Raises `NotFound`."""
    secret = secrets.token_hex(SECRET_BYTES)
    await chatflows.get(resources.database, workspace, flow_id)
    async with resources.database.write(workspace) as scope:
        if not await records.keep_secret(scope, uuid4(), flow_id, secret):
            raise chatflows.missing(flow_id)
    return secret


async def drop_secret(resources: Resources, workspace: UUID, flow_id: UUID) -> None:
    """Take the secret from a flow, if it has one: calls are no longer verified. Raises `NotFound`."""
    await chatflows.get(resources.database, workspace, flow_id)
    async with resources.database.write(workspace) as scope:
        await records.drop_secret(scope, flow_id)


# What is sent back


async def send(scope: Scope, resources: Resources, callback: Callback) -> None:
    """Have something sent, in the caller's transaction. What the start node does not sign is signed by the flow's
    secret. Nothing is sent for a flow that is gone."""
    if not callback.secret:
        secret = await records.secret_of(scope, callback.chatflow)
        callback = replace(callback, secret=secret or "", own_secret=False)
    delivery = uuid4()
    if await records.insert(scope, delivery, callback, ATTEMPT_SECONDS):
        await jobs.submit(scope, resources.queue, "callback", payload={"deliveryId": str(delivery)})


async def deliveries(
    database: Database, workspace: UUID, flow_id: UUID, offset: int, size: int
) -> tuple[list[Delivery], int]:
    """What was sent for a flow, newest first, and how much there is in all. Raises `NotFound`."""
    await chatflows.get(database, workspace, flow_id)
    async with database.read(workspace) as scope:
        return await records.page(scope, flow_id, offset, size)


async def queue_due(resources: Resources) -> int:
    """Queue what is to be sent now; says how much. Any number of workers may do so."""
    async with resources.database.transaction() as connection:
        found = await records.due(connection, DUE_AT_ONCE, ATTEMPT_SECONDS)
        for workspace, delivery in found:
            scope = Scope(connection, workspace)
            await jobs.submit(scope, resources.queue, "callback", payload={"deliveryId": str(delivery)})
    return len(found)


async def forget_old(resources: Resources) -> int:
    """Remove what was sent or given up long ago, and what those saw who look on no more."""
    async with resources.database.connection() as connection:
        return await records.forget(connection, resources.settings.job_days, FRAME_SECONDS)
