"""What came with earlier questions of a conversation: read again for those that follow, the newest first, as much as
the settings allow (ADR 0040). It stands with the turns that it came with, so what a memory leaves out is left out with
it.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from service.attachments import service as attachments
from service.attachments.types import Attachment, Part
from service.chatflows import graph as graphs
from service.chatflows.cache import KnownFlow
from service.chatflows.pictures import models_fetch, reads_pictures
from service.chatflows.types import Attached, Picture, Turn
from service.egress.errors import EgressError
from service.predictions.uploads import is_public
from service.resources import Resources

DOCUMENTS = (Part.DOCUMENT, Part.TEXT)


async def recalled(resources: Resources, known: KnownFlow, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns of a session with their documents, and with their pictures where a model of the flow reads any. Files
    whose time is over are left out; a document is cut where there is no room for all of it."""
    messages = [turn.brought for turn in reversed(turns) if turn.brought]
    if not messages:
        return tuple(turns)
    workspace = known.flow.workspace
    found = await attachments.of_messages(resources, workspace, known.flow.id, messages)
    newest = sorted(found, key=lambda row: messages.index(_message(row)))
    documents, left = [], resources.settings.earlier_text
    for row in newest:
        if row.part in DOCUMENTS and row.letters and left > 0:
            documents.append((row, left))
            left -= row.letters
    pictures = [row for row in newest if row.part not in DOCUMENTS][: resources.settings.earlier_pictures]
    wanted = [row.id for row, _ in documents] + [row.id for row in pictures if row.part is Part.ADDRESS]
    texts = await attachments.contents(resources, workspace, wanted, max(resources.settings.earlier_text, 10_000))
    told: dict[UUID, list[Attached]] = {}
    for row, room in documents:
        told.setdefault(_message(row), []).append(Attached(row.name, texts.get(row.id, "")[:room]))
    shown = await _pictures(resources, known, pictures, texts) if pictures else {}
    return tuple(_with(turn, told, shown) for turn in turns)


def _message(row: Attachment) -> UUID:
    assert row.message is not None
    return row.message


def _with(turn: Turn, told: dict[UUID, list[Attached]], shown: dict[UUID, list[Picture]]) -> Turn:
    if turn.brought is None:
        return turn
    return replace(turn, documents=told.get(turn.brought, ()), pictures=shown.get(turn.brought, ()))


async def _pictures(
    resources: Resources, known: KnownFlow, rows: Sequence[Attachment], addresses: Mapping[UUID, str]
) -> dict[UUID, list[Picture]]:
    """Pictures by message. None where no model of the flow, as it is now, sees them."""
    graph = await asyncio.to_thread(graphs.parse, known.flow.flow_data)
    if not reads_pictures(graph):
        return {}
    shown: dict[UUID, list[Picture]] = {}
    for row in rows:
        if row.part is Part.ADDRESS:
            url = addresses.get(row.id, "") if models_fetch(graph) else ""
            url = url if url and _may_be_told(resources, url) else ""
        else:
            data = await attachments.read(resources, row)
            url = "" if data is None else f"data:{row.mime};base64,{base64.b64encode(data).decode('ascii')}"
        if url:
            shown.setdefault(_message(row), []).append(Picture(row.name, row.mime, url))
    return shown


def _may_be_told(resources: Resources, address: str) -> bool:
    """The rules of this may have changed since the address came."""
    try:
        resources.egress.check(address)
    except EgressError:
        return False
    return is_public(resources, address)
