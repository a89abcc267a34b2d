"""Take the files of a conversation in: those that the flow allows, typed by content, read apart, kept for a while."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID, uuid4

from loaders.base import LoaderError, Source
from service.attachments import records
from service.attachments.kinds import allowed, types_of
from service.attachments.types import Attachment, ReadAttachment, Rules, Upload
from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.keeping import keeping_of
from service.chatflows.service import OriginRefused
from service.errors import BadRequest, Forbidden, NotFound, TooLarge, Unprocessable
from service.jobs import service as jobs
from service.resources import Resources
from service.settings import Settings
from stores.blobs.base import Blob, BlobTooLarge, UnknownBlob
from stores.blobs.pending import pending
from stores.records.database import Scope

LONGEST_NAME = 255
LONGEST_CHAT = 512

VISITOR = "public"
"""The caller of those who come without a key (`Entrance.caller`)."""

PIECE = 256 * 1024
"""Bytes of a file that are sent at a time."""

AT_ONCE = 500
"""Rows that housekeeping removes in one go."""


class UploadsOff(Forbidden):
    """File upload is not enabled for this chatflow."""

    code = "uploads_off"


class TypeRefused(Unprocessable):
    """Files of this type are not allowed."""

    code = "type_refused"


@dataclass(frozen=True, slots=True)
class Guest:
    """A caller who may bring files to a flow."""

    workspace: UUID
    flow: UUID
    caller: str
    rules: Rules
    visitor: str = ""
    """Tells visitors without a key apart."""
    keeps: bool = True
    """Whether the flow keeps anything of its conversations; else files are read and go at once."""


async def admit(resources: Resources, flow_id: UUID, *, token: str | None, origin: str | None, address: str) -> Guest:
    """Let a caller bring files, by the rules that predictions of the flow have; before anything of them is read.
    `address` is where the request came from.

    Raises `NotFound`, `Unauthorized` (the flow's key), `OriginRefused`, `UploadsOff`.
    """
    entrance = await chatflows.enter(resources, flow_id, token, "", lambda _known: "")
    known = entrance.known
    try:
        if origin and not known.allows(origin):
            raise OriginRefused(str(known.config.get("allowedOriginsError") or ""))
        rules = rules_of(known)
        if not rules.on:
            raise UploadsOff
        visitor = visitor_of(entrance.name, address)
        keeps = keeping_of(known.flow.api_config).stores(resources.settings)
        return Guest(known.flow.workspace, known.flow.id, entrance.name, rules, visitor, keeps)
    finally:
        resources.flows.release(known)


def visitor_of(caller: str, address: str) -> str:
    """What tells a visitor from others: a hash of the address, of IPv6 its network, as everybody has many of those.
    Empty for callers with a key."""
    if caller != VISITOR:
        return ""
    try:
        parsed = ip_address(address)
        if parsed.version == 6:
            address = str(ip_network((parsed, 64), strict=False))
    except ValueError:
        pass  # a socket of this machine
    return sha256(address.encode()).hexdigest()[:32]


def rules_of(known: KnownFlow) -> Rules:
    """What the flow's `fullFileUpload` allows.

    Its `pdfFile` has no effect: `usage` says whether a PDF is read by page or as a file, but an attachment is one text,
    the same either way; `legacyBuild` picks a library that is not here.
    """
    config = known.config.get("fullFileUpload")
    if not isinstance(config, Mapping):
        return Rules(False, ())
    listed = config.get("allowedUploadFileTypes")
    types = [part.strip().lower() for part in listed.split(",")] if isinstance(listed, str) else []
    return Rules(config.get("status") is True, tuple(filter(None, types)))


async def bring(
    resources: Resources, guest: Guest, chat: str, uploads: Sequence[Upload], *, as_base64: bool
) -> list[ReadAttachment]:
    """Read and keep the files of a conversation, all of them or none; keep none where the flow keeps nothing.

    Raises `BadRequest` without files, `TooLarge` naming the limit, `TypeRefused`, `Unprocessable` for a file that
    cannot be read, `NotFound` when the flow went meanwhile.
    """
    settings = resources.settings
    if not chat or len(chat) > LONGEST_CHAT or "\0" in chat:
        raise Unprocessable(f"chatId: must have 1 to {LONGEST_CHAT} characters")
    if not uploads:
        raise BadRequest("files: send at least one file")
    if len(uploads) > settings.max_attachments:
        raise TooLarge(f"max_attachments: {len(uploads)} files in one request, the limit is {settings.max_attachments}")
    expires = datetime.now(UTC) + timedelta(days=settings.attachment_days)
    read: list[ReadAttachment] = []
    async with pending(resources.blobs) as held:
        for upload in uploads:
            blob = held.add(await _keep(resources, upload))
            mime, content = await _read(resources, guest, upload, blob, as_base64=as_base64)
            row = Attachment(
                id=uuid4(),
                chatflow=guest.flow,
                chat=chat,
                caller=guest.caller,
                name=shown(upload.name),
                mime=mime,
                size=blob.size,
                blob=blob.key,
                expires_at=expires,
                visitor=guest.visitor,
            )
            read.append(ReadAttachment(row, content))
            if sum(len(item.content) for item in read) > settings.max_attachment_text and not as_base64:
                raise TooLarge(
                    f"max_attachment_text: the files hold more than {settings.max_attachment_text} characters of text"
                )
        if not guest.keeps:
            return read
        async with resources.database.write(guest.workspace) as scope:
            displaced = await note(scope, guest, [item.attachment for item in read], settings)
            held.referred()
    for blob_key in displaced:
        await resources.blobs.delete(blob_key)
    return read


async def check_share(resources: Resources, guest: Guest, size: int) -> None:
    """Raises `TooLarge` where `note` would refuse a guest's files of `size` bytes: before anything is kept of them."""
    async with resources.database.read(guest.workspace) as scope:
        holders = await records.holders(scope, guest.flow)
    mine = holders.get(guest.visitor, 0) + size if guest.visitor else 0
    _check_own(mine, resources.settings)
    if resources.settings.attachment_space < sum(holders.values()) + size and not _others(holders, guest, mine):
        raise _no_space(resources.settings)


def shown(name: str) -> str:
    """A file's name as it is kept: no folders, no control characters, not too long, its suffix last."""
    plain = "".join(sign for sign in name.replace("\\", "/") if sign.isprintable())
    path = PurePath(plain.rpartition("/")[2].encode("utf-8", "replace").decode())
    suffix = path.suffix[:20]
    return (path.name.removesuffix(path.suffix)[: LONGEST_NAME - len(suffix)] + suffix) or "file"


async def _keep(resources: Resources, upload: Upload) -> Blob:
    limit = resources.settings.max_upload
    try:
        return await resources.blobs.put(upload.stream, limit=limit)
    except BlobTooLarge:
        raise TooLarge(f"max_upload: '{shown(upload.name)}' is larger than {limit} bytes") from None


async def _read(resources: Resources, guest: Guest, upload: Upload, blob: Blob, *, as_base64: bool) -> tuple[str, str]:
    """A file's type by content, and what the caller asked for of it."""
    name = shown(upload.name)
    async with resources.blobs.path(blob.key) as path:
        try:
            loaded = await resources.sandbox.load(Source(path, name, upload.mime or ""))
        except LoaderError as error:
            raise Unprocessable(f"files: '{name}': {error.message}") from None
        types = types_of(loaded.loader, name)
        if not allowed(types, guest.rules.types):
            listed = ", ".join(guest.rules.types) or "none"
            raise TypeRefused(f"files: '{name}' is {types[0]}, which this chatflow does not take. Allowed: {listed}.")
        if as_base64:
            return types[0], await asyncio.to_thread(_base64, path)
        return types[0], "\n\n".join(document.page_content for document in loaded.documents)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


async def note(
    scope: Scope, guest: Guest, rows: Sequence[Attachment], settings: Settings, *, strict: bool = True
) -> list[str]:
    """Keep the files of a guest; returns the blobs of those that had to go for them.

    Where a chatflow has no room left, the oldest files of the visitor go who holds most of it, so that nobody keeps
    the others out: a visitor who would then hold most himself is refused. Files of callers with a key stay. Not
    `strict`: the files passed `check_share` when they came and are kept whatever came meanwhile.
    """
    if not await records.hold_flow(scope, guest.flow):
        raise NotFound(f"Chatflow {guest.flow} not found")
    size = sum(row.taken for row in rows)
    holders = await records.holders(scope, guest.flow)
    mine = holders.get(guest.visitor, 0) + size if guest.visitor else 0
    if strict:
        _check_own(mine, settings)
    displaced: list[str] = []
    room = settings.attachment_space - sum(holders.values()) - size
    while room < 0:
        others = _others(holders, guest, mine)
        if not others and strict:
            raise _no_space(settings)
        if not others:
            break
        largest = max(others, key=lambda who: others[who])
        blob, freed = await records.displace(scope, guest.flow, largest)
        holders[largest] -= freed
        room += freed
        displaced += filter(None, [blob])
    await records.insert(scope, rows)
    return displaced


def _check_own(mine: int, settings: Settings) -> None:
    if mine > settings.attachment_share:
        share = settings.attachment_share
        raise TooLarge(f"attachment_share: your files for this chatflow would take more than {share} bytes")


def _others(holders: Mapping[str, int], guest: Guest, mine: int) -> dict[str, int]:
    """The visitors who hold more than this one would."""
    return {who: held for who, held in holders.items() if who and who != guest.visitor and held > mine}


def _no_space(settings: Settings) -> TooLarge:
    return TooLarge(
        f"attachment_space: the files of this chatflow would take more than {settings.attachment_space} bytes"
    )


async def of_chat(resources: Resources, workspace: UUID, flow_id: UUID, chat: str, limit: int) -> list[Attachment]:
    """The files that a conversation brought along, newest first."""
    async with resources.database.read(workspace) as scope:
        return await records.of_chat(scope, flow_id, chat, limit)


async def of_messages(
    resources: Resources, workspace: UUID, flow_id: UUID, messages: Sequence[UUID]
) -> list[Attachment]:
    """What came with messages and is something to later ones, in its order within each; without texts."""
    async with resources.database.read(workspace) as scope:
        return await records.of_messages(scope, flow_id, messages)


async def contents(resources: Resources, workspace: UUID, ids: Sequence[UUID], most: int) -> Mapping[UUID, str]:
    """The first `most` characters of the texts of attachments, of those that have any."""
    if not ids:
        return {}
    async with resources.database.read(workspace) as scope:
        return await records.contents(scope, ids, most)


async def read(resources: Resources, attachment: Attachment) -> bytes | None:
    """The bytes of a file that is kept; None: it is gone."""
    try:
        async with resources.blobs.path(attachment.blob) as path:
            return await asyncio.to_thread(path.read_bytes)
    except UnknownBlob:
        return None


async def show(
    resources: Resources, flow_id: UUID, chat: str, name: str, *, token: str | None, origin: str | None
) -> tuple[Attachment, AsyncIterator[bytes]]:
    """A file of a conversation and its bytes, for whoever brought it; what visitors brought, who know of no key, for
    those who know the conversation's id.

    Raises `NotFound`, `Unauthorized` (the flow's key), `OriginRefused`.
    """
    entrance = await chatflows.enter(resources, flow_id, token, "", lambda _known: "")
    resources.flows.release(entrance.known)
    if origin and not entrance.known.allows(origin):
        raise OriginRefused(str(entrance.known.config.get("allowedOriginsError") or ""))
    async with resources.database.read(entrance.known.flow.workspace) as scope:
        found = await records.named(scope, flow_id, chat, name, sorted({entrance.name, VISITOR}))
    if found is None:
        raise NotFound(f"File '{name[:LONGEST_NAME]}' not found")
    pieces = _pieces(resources, found.blob)
    try:
        first = await anext(pieces)
    except UnknownBlob:
        raise NotFound(f"File '{name[:LONGEST_NAME]}' not found") from None
    except StopAsyncIteration:
        first = b""
    return found, _after(first, pieces)


async def _pieces(resources: Resources, blob: str) -> AsyncGenerator[bytes, None]:
    async with resources.blobs.path(blob) as path:
        with await asyncio.to_thread(path.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece


async def _after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


async def leave(scope: Scope, resources: Resources, flow_id: UUID) -> None:
    """Have the files of a chatflow's conversations removed, in the transaction that deletes the chatflow."""
    payload: dict[str, Any] = {"flowId": str(flow_id)}
    await jobs.submit(scope, resources.queue, "purge_attachments", payload=payload)


async def expire(scope: Scope, flow_id: UUID, chats: Sequence[str]) -> None:
    """Have the files of conversations that are gone removed by housekeeping; nobody is shown them from now on."""
    await records.expire(scope, flow_id, chats)


async def forget_expired(resources: Resources) -> int:
    """Remove the files whose time is over; says how many."""
    gone = 0
    while True:
        async with resources.database.connection() as connection:
            found = await records.expired(connection, AT_ONCE)
        for blob in [blob for _, blob in found if blob]:
            await resources.blobs.delete(blob)
        async with resources.database.connection() as connection:
            gone += await records.forget(connection, [row for row, _ in found])
        if len(found) < AT_ONCE:
            return gone
