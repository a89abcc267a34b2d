"""Runs that go on behind the answer to their call, and what is sent when they have ended.

A run is begun once: whoever takes up its job after a crash does not run the flow again, which may have sent mails and
moved money, but says that it was lost. What is sent is sent until it has arrived, or for three days: at least once, and
receivers know a second time by `Webhook-Id`.
"""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.chatflows.types import Decision, HumanInput, RunStatus
from service.egress.errors import EgressError, EgressFailed, EgressTooLarge
from service.errors import ServiceError
from service.executions import service as executions
from service.jobs.types import Job
from service.predictions import service as predictions
from service.predictions.types import ChatType, Occasion, Question
from service.predictions.writing import answer
from service.resources import Resources
from service.secret_names import redacted_text
from service.webhooks import records, service, signatures
from service.webhooks.contents import compact
from service.webhooks.listeners import mirror
from service.webhooks.types import Callback, Delivery
from service.worker.work import Work
from stores.records.database import Scope

log = logging.getLogger("ragstone.webhooks")

BEGUN, ENDED = "running", "ended"
"""Stages of the job: a run that has begun is not begun again, what it said is sent once."""

LOST = "The process that ran the flow ended before the flow did; it was not run again."

MINUTE, HOUR = 60.0, 3600.0
PAUSES = (5.0, 30.0, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, *(12 * HOUR,) * 5)
"""Seconds between attempts: about three days in all."""

ANSWER_SECONDS = 20.0
ANSWER_BYTES = 64 * 1024

GONE = 410
"""The receiver says that it wants nothing more."""


async def run(work: Work) -> Mapping[str, Any]:
    """Run the flow that was called, and have its result sent where the start node says."""
    payload, resources, workspace = work.payload, work.resources, work.job.workspace
    if work.job.stage == ENDED:
        return {}
    said = await _found(resources, workspace, payload) if work.job.stage == BEGUN else None
    if said is None:
        async with resources.database.write(workspace) as scope:
            await work.note(scope, BEGUN, 0, 1)
        try:
            said = await _run(resources, workspace, payload)
        except executions.BegunBefore:
            said = None  # the same delivery came twice: the other call's job says how it ended
    async with resources.database.write(workspace) as scope:
        await work.note(scope, ENDED, 1, 1)
        if said is None:
            return {"status": "REPEATED"}
        await _send(scope, resources, payload, said)
    return {"status": said["status"]}


async def _run(resources: Resources, workspace: UUID, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the flow says: `status` with `data` or `error` (contract 6.9). Raises `BegunBefore`."""
    human = payload["human"]
    question = Question(
        payload["question"],
        chat=payload["chatId"],
        session=payload["sessionId"],
        human=None if human is None else HumanInput(Decision(human[0]), human[1], human[2]),
    )
    occasion = Occasion(ChatType.WEBHOOK, payload["caller"], UUID(payload["executionId"]), payload["webhook"])
    flow_id = UUID(payload["flowId"])
    try:
        prediction = await predictions.ask(
            resources, flow_id, question, token=None, origin=None, member=workspace, occasion=occasion
        )
        await mirror(resources, workspace, flow_id, prediction)
        leave = prediction.running.attend()
        try:
            await prediction.running.wait()
        finally:
            leave()
        return _told(json.loads(answer(prediction)))
    except executions.BegunBefore:
        raise
    except ServiceError as error:
        return {"status": "ERROR", "error": error.message}


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    if not data.get("action"):
        return {"status": "SUCCESS", "data": data}
    return {"status": "STOPPED", "data": {name: data.get(name) for name in ("text", "executionId", "action")}}


async def _found(resources: Resources, workspace: UUID, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of a run that another process began, when it has ended; None: it has not begun."""
    execution = UUID(payload["executionId"])
    state = await executions.ended(resources.database, workspace, execution)
    if state is None and payload["human"] is None:
        return None
    told = await executions.told(resources.database, workspace, execution)
    if state is None or told is None or state[0] not in (RunStatus.FINISHED, RunStatus.STOPPED):
        return {"status": "ERROR", "error": (state and state[1]) or LOST}
    message, text, chat = told
    data: dict[str, Any] = {"text": text, "executionId": str(execution)}
    if state[0] is RunStatus.FINISHED:
        return {"status": "SUCCESS", "data": {**data, "chatId": chat, "chatMessageId": str(message)}}
    found = await executions.get(resources.database, workspace, execution)
    return {"status": "STOPPED", "data": {**data, "action": found.action}}


async def _send(scope: Scope, resources: Resources, payload: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Have it sent, where the start node names a place."""
    if not payload["callbackUrl"]:
        return
    body = {"status": said["status"], "chatId": payload["chatId"], **said}
    secret = payload["callbackSecret"]
    callback = Callback(
        UUID(payload["flowId"]), payload["chatId"], payload["callbackUrl"], secret, bool(secret), compact(body)
    )
    await service.send(scope, resources, callback)


async def give_up(scope: Scope, job: Job, error: Mapping[str, Any]) -> None:
    """A run whose job failed has failed: whoever waits for what it says is told so, by the next worker that looks."""
    if not job.payload["callbackUrl"] or job.stage == ENDED:
        return
    body = {"status": "ERROR", "chatId": job.payload["chatId"], "error": str(error.get("message") or LOST)}
    secret = job.payload["callbackSecret"]
    callback = Callback(
        UUID(job.payload["flowId"]),
        job.payload["chatId"],
        job.payload["callbackUrl"],
        secret or await records.secret_of(scope, UUID(job.payload["flowId"])) or "",
        bool(secret),
        compact(body),
    )
    await records.insert(scope, UUID(int=job.id.int ^ 1), callback, 0.0)


async def deliver(work: Work) -> Mapping[str, Any]:
    """Send what is to be sent, once; when it does not arrive, note when it is sent again."""
    resources, workspace = work.resources, work.job.workspace
    delivery_id = UUID(work.payload["deliveryId"])
    async with resources.database.read(workspace) as scope:
        delivery = await records.get(scope, delivery_id)
    if delivery is None or delivery.ended_at is not None:
        return {}
    status, error = await _attempt(resources, delivery)
    async with resources.database.write(workspace) as scope:
        if error is None:
            await records.arrived(scope, delivery_id, status or 0)
            return {"status": status}
        again = None if status == GONE else pause_after(delivery.attempts)
        await records.failed(scope, delivery_id, status, error, again)
    if again is None:
        log.warning("Callback %s of chatflow %s was given up: %s", delivery_id, delivery.callback.chatflow, error)
    return {"status": status, "error": error}


async def _attempt(resources: Resources, delivery: Delivery) -> tuple[int | None, str | None]:
    """The status that the receiver answered with, and what went wrong, if so."""
    callback = delivery.callback
    body = callback.body.encode()
    signed = signatures.sign(callback.secret, str(delivery.id), body, int(time.time()), own=callback.own_secret)
    headers = {"Content-Type": "application/json", **signed}
    try:
        fetched = await resources.egress.fetch(
            callback.url,
            method="POST",
            headers=headers,
            body=body,
            max_bytes=ANSWER_BYTES,
            timeout=ANSWER_SECONDS,
            redirects=0,
        )
        fetched.good()
    except EgressTooLarge:
        return 200, None  # it was taken; what the receiver says of it nobody reads
    except EgressFailed as error:
        return error.answer, redacted_text(error.message)
    except EgressError as error:
        return None, redacted_text(error.message)
    return fetched.status, None


def pause_after(attempts: int) -> float | None:
    """Seconds until the next attempt after so many before the one that just failed; None: there is none."""
    return PAUSES[attempts] if attempts < len(PAUSES) else None
