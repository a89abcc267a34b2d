"""Calls that come once more: an event starts one run, however often it is sent.

An event is known by the sender's name of its delivery, and by what was signed, where the moment of signing is signed:

- Senders who sign their moment (Stripe's way, Slack's, and any signature beside a header with the moment) sign anew
  when they send once more. The same moment over the same body is then the same event, whatever the rest of the call
  says: headers, query and method are not signed, so a captured call could come under any other name. What was signed is
  remembered as the run that it first meant, for longer than the longest tolerance.
- Without a moment (a signature of the body alone, a plain token, no secret) equal bodies are signed alike, and two
  events may well be equal: there the name alone decides, and whoever can capture calls can send them again. Name a
  header with the moment of signing in the start node where that matters.

What counts is what was signed, not how the signature is written: upper case, another prefix or a second, wrong
signature beside it make no other event.
"""

from hashlib import sha256
from uuid import UUID, uuid5

from service.chatflows.types import Chatflow
from service.executions.types import AlreadyAnswered, Once
from service.idempotency import service as idempotency
from service.idempotency.types import Asked
from service.webhooks.trigger import LONGEST_TOLERANCE
from service.webhooks.types import Call
from stores.records.database import Database, Scope

NAMES = ("webhook-id", "x-github-delivery", "x-shopify-webhook-id", "x-request-uuid")
"""Headers by which senders name a delivery, the same when they send it once more (Standard Webhooks, GitHub, Shopify,
Bitbucket). `Idempotency-Key` counts on every write."""

REMEMBERED_HOURS = 2 * LONGEST_TOLERANCE / 3600
"""A moment may lie as far ahead as behind, and a start node's tolerance may grow up to the longest."""

ANSWER = UUID(int=0)
"""What signed calls that answer a run mean, in place of a run that they start."""


async def first_run(database: Database, flow: Chatflow, call: Call, moment: str) -> UUID | None:
    """The id of the first run of the event that a call tells of; None where nothing tells it from any other one.
    `moment` is the signed one, empty without.

    Raises `AlreadyAnswered` for what was signed as the answer to a run.
    """
    named = next((value for name in NAMES if (value := call.headers.get(name, "").strip())), "")
    if not (named or moment):
        return None
    meant = uuid5(flow.id, f"0 named {named}" if named else f"0 {_signed(call, moment)}")
    if moment:
        meant = await idempotency.first(database, _asked(flow, call, moment), meant, REMEMBERED_HOURS)
        if meant == ANSWER:
            raise AlreadyAnswered
    return meant


def next_run(first: UUID, attempt: int) -> UUID:
    """The id of a later run of an event, whose earlier ones have failed; 0 is the first."""
    return uuid5(first, str(attempt)) if attempt else first


def answering(flow: Chatflow, call: Call, moment: str) -> Once | None:
    """What is done with a call that answers a run, in the transaction that takes the answer: what was signed with its
    moment answers once, so that it cannot answer the run's next stop too. One that is refused, or whose transaction
    fails, may come again. None where no moment is signed.

    Raises `AlreadyAnswered`.
    """
    if not moment:
        return None
    asked = _asked(flow, call, moment)

    async def once(scope: Scope) -> None:
        if not await idempotency.reserve(scope.connection, asked, ANSWER, REMEMBERED_HOURS):
            raise AlreadyAnswered

    return once


def _signed(call: Call, moment: str) -> str:
    return f"signed {moment} {sha256(call.content).hexdigest()}"


def _asked(flow: Chatflow, call: Call, moment: str) -> Asked:
    """What was signed, as the key of a request. Nobody else's keys have such an owner."""
    digest = sha256(call.content).digest()
    return Asked(f"webhook:{flow.id}", _signed(call, moment), flow.workspace, digest, f"/webhook/{flow.id}")
