"""What comes with a question: checked, typed by content, made ready for the flow, kept with the exchange or not at all
(contract 1.1; ADR 0040).

Files lie as blobs that belong to nobody while the flow answers. `Brought.keep` gives them to the conversation in the
transaction that stores its messages; whatever else happens, `Brought.drop` removes them.
"""

import asyncio
import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from loaders.base import LoaderError, Source
from service.agentflows.flow import is_agentflow
from service.attachments import service as attachments
from service.attachments.kinds import allowed, types_of
from service.attachments.types import Attachment, Part, Rules
from service.chatflows import graph as graphs
from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.graph import Graph
from service.chatflows.overrides import Gate
from service.chatflows.pictures import models_fetch, reads_pictures
from service.chatflows.types import Attached, FlowType, Picture
from service.egress.addresses import is_local_name
from service.egress.errors import EgressError, EgressTooLarge
from service.errors import BadRequest, Forbidden, TooLarge, Unprocessable
from service.flow_upserts import service as flow_upserts
from service.flow_upserts.types import FilesRefused
from service.http.access import Caller
from service.limits.service import check_disk
from service.predictions import contents, speech
from service.predictions.asking import InvalidField, asks
from service.predictions.contents import SoundKind
from service.predictions.text import clean
from service.predictions.types import Question, Upload, UploadKind
from service.providers.defaults import defaults_from
from service.resources import Resources
from stores.blobs.base import BlobStore
from stores.records.database import Scope

STORED, STORED_FULL = "stored-file", "stored-file:full"
"""What the rows of messages call files that are kept, and documents whose text came along (contract 1.1)."""

PICTURE = "image/png"
"""What a picture by its address is called, where nobody says."""


class UploadRefused(Unprocessable):
    """The chatflow has no use for this file."""

    code = "upload_refused"


class UploadsOff(Forbidden):
    """The chatflow takes no files."""

    code = "uploads_off"


@dataclass(slots=True)
class Brought:
    """What came with a question. `question` is what is asked: the words of somebody who spoke, else what was written;
    `named` is what the message's row says of the files."""

    question: str
    pictures: list[Picture] = field(default_factory=list)
    documents: list[Attached] = field(default_factory=list)
    named: list[Mapping[str, Any]] = field(default_factory=list)
    _guest: attachments.Guest | None = None
    _rows: list[Attachment] = field(default_factory=list)
    _blobs: list[str] = field(default_factory=list)
    """Those that belong to nobody yet."""
    _displaced: list[str] = field(default_factory=list)
    """Those that had to go for them."""

    async def keep(self, resources: Resources, scope: Scope, message: UUID) -> None:
        """Give the files to the user's message, as the last thing of the transaction that stores it."""
        if self._guest is None or not self._rows:
            return
        rows = [replace(row, message=message, place=place) for place, row in enumerate(self._rows)]
        self._displaced = await attachments.note(scope, self._guest, rows, resources.settings, strict=False)
        self._rows, self._blobs = [], []  # nobody knows whether a commit that fails was one; the sweep finds the rest

    async def settle(self, blobs: BlobStore) -> None:
        """Remove what had to go for the files, once the transaction is committed."""
        gone, self._displaced = self._displaced, []
        for key in gone:
            await blobs.delete(key)

    async def drop(self, blobs: BlobStore) -> None:
        """Remove what belongs to nobody. Without effect on what was kept; safe to call twice."""
        gone, self._blobs, self._rows = self._blobs, [], []
        for key in gone:
            await blobs.delete(key)


async def bring(
    resources: Resources, known: KnownFlow, caller: Caller, question: Question, *, chat: str, address: str
) -> Brought:
    """Take what came with a question; the flow is known and may be run. `address` is where the request came from.

    Raises `InvalidField` without anything to answer; `UploadRefused`, `UploadsOff`, `UnfitName`, `TypeRefused`,
    `Unprocessable`, each naming the upload; `FilesRefused` for parts of forms; `TooLarge` naming the limit, and what
    `speech.transcribed` raises. Nothing is kept then.
    """
    if not asks(question.text, question.uploads):
        await _check_begins(known, question)
    brought = Brought(question.text)
    if not question.uploads:
        return brought
    settings = resources.settings
    if len(question.uploads) > settings.max_attachments:
        count = len(question.uploads)
        raise TooLarge(f"max_attachments: {count} files in one request, the limit is {settings.max_attachments}")
    try:
        graph = await asyncio.to_thread(graphs.parse, known.flow.flow_data)
        await _Desk(resources, known, graph, caller, chat, address, brought).take(question.uploads)
    except BaseException:
        await brought.drop(resources.blobs)
        raise
    return brought


def is_public(resources: Resources, address: str) -> bool:
    """Whether an address may be given to a provider: a model's server may stand in the operator's own network."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return not is_local_name(host) or resources.egress.guard.named(host, parts.port)


def _noted(text: str | None) -> dict[str, Any]:
    """A text as it is kept beside its file."""
    kept = None if text is None else clean(text)
    return {"content": kept, "letters": len(kept or "")}


async def _check_begins(known: KnownFlow, question: Question) -> None:
    """Agentflows may begin with a form, with nothing, or go on after a person's answer (contract 1.1); what is an
    agentflow may be kept as a chatflow. Raises `InvalidField` for all others."""
    if known.flow.type is FlowType.AGENTFLOW:
        return
    others = {"form": question.form, "humanInput": question.human, "action": question.action}
    sent = [name for name, value in others.items() if value is not None]
    if not sent:
        raise InvalidField("question: is missing")
    if not is_agentflow(await asyncio.to_thread(graphs.parse, known.flow.flow_data), known.flow.type):
        raise InvalidField(f"question: is missing; {' and '.join(sent)} are for agentflows, and this is a chatflow")


@dataclass(slots=True)
class _Desk:
    """Takes the uploads of one question in, for one flow."""

    resources: Resources
    known: KnownFlow
    graph: Graph
    caller: Caller
    chat: str
    address: str
    brought: Brought
    spoken: list[tuple[Upload, SoundKind]] = field(default_factory=list)
    to_keep: list[tuple[Attachment, bytes | None]] = field(default_factory=list)
    """None: without a file."""
    texts: list[Attached | None] = field(default_factory=list)
    """Documents in their order; None: not yet read."""
    to_read: list[tuple[Attachment, Upload, int]] = field(default_factory=list)
    """With their places in `texts`."""

    async def take(self, uploads: Sequence[Upload]) -> None:
        """Everything that can be refused is, before a byte is kept or anybody is asked."""
        for upload in uploads:
            await self._sort(upload)
        self._check_text()
        if self.to_keep:
            guest = self._guest()
            await check_disk(self.resources.settings, sum(row.size for row, _ in self.to_keep))
            await attachments.check_share(self.resources, guest, sum(row.taken for row, _ in self.to_keep))
            self.brought._guest = guest
        await self._store()
        await self._read()
        await self._listen()

    # Sorting

    async def _sort(self, upload: Upload) -> None:
        named = replace(upload, name=attachments.shown(upload.name) if upload.name else "")
        match upload.kind:
            case UploadKind.FULL:
                self.texts.append(Attached(named.name or "document", upload.text))
                self._name(STORED_FULL, named.name, upload.mime or "text/plain")
                self._hold(Part.TEXT, named.name or "document", upload.mime or "text/plain", text=upload.text)
            case UploadKind.URL:
                await self._link(named)
            case UploadKind.AUDIO:
                self._hear(named)
            case UploadKind.RAG:
                name = named.name or "file"
                self._keep(name, self._type(named), upload.data)
            case UploadKind.FILE:
                self._file(named)

    def _file(self, upload: Upload) -> None:
        picture = contents.picture_type(upload.data)
        if picture is not None and (not upload.part or reads_pictures(self.graph)):
            self._show(upload, picture)
            return
        if upload.part:
            self._check_gate(upload)
        self._check_documents(upload)
        name = upload.name or "document"
        row = self._keep(name, self._type(upload), upload.data, Part.DOCUMENT)
        self.to_read.append((row, replace(upload, name=name), len(self.texts)))
        self.texts.append(None)

    def _show(self, upload: Upload, mime: str) -> None:
        contents.checked_picture(upload.place, upload.name, mime)
        most = self.resources.settings.max_picture
        if len(upload.data) > most:
            raise TooLarge(f"max_picture: {upload.place} has more than {most} bytes")
        self._check_sight(upload)
        name = upload.name or f"picture{contents.PICTURES[mime][0]}"
        encoded = base64.b64encode(upload.data).decode("ascii")
        self.brought.pictures.append(Picture(name, mime, f"data:{mime};base64,{encoded}"))
        self._keep(name, mime, upload.data, Part.PICTURE)

    def _check_sight(self, upload: Upload) -> None:
        if not reads_pictures(self.graph):
            raise UploadRefused(
                f"{upload.place}: no model of this chatflow reads pictures; switch on 'Allow Image Uploads' in the node"
                " of its chat model"
            )

    async def _link(self, upload: Upload) -> None:
        """A picture by its address: models fetch it, or the egress client does where their adapters would."""
        self._check_sight(upload)
        egress, most = self.resources.egress, self.resources.settings.max_picture
        name = upload.name or attachments.shown(unquote(urlsplit(upload.text).path)) or "picture"
        mime, shown = upload.mime or PICTURE, upload.text
        try:
            egress.check(upload.text)
            if models_fetch(self.graph):
                if not is_public(self.resources, upload.text):
                    raise UploadRefused(f"{upload.place}: the address is no public one")
                self._hold(Part.ADDRESS, name, mime, text=shown)
            else:
                fetched = (await egress.fetch(upload.text, max_bytes=most)).good()
                found = contents.picture_type(fetched.body)
                if found is None:
                    raise UploadRefused(f"{upload.place}: there is no picture at this address")
                mime, shown = found, f"data:{found};base64,{base64.b64encode(fetched.body).decode('ascii')}"
                self._hold(Part.FETCHED, name, mime, data=fetched.body)
        except EgressTooLarge as error:
            raise TooLarge(f"max_picture: {upload.place} has more than {most} bytes") from error
        except EgressError as error:
            raise UploadRefused(f"{upload.place}: {error.message}") from error
        self.brought.pictures.append(Picture(name, mime, shown))
        self.brought.named.append({"data": upload.text, "type": UploadKind.URL.value, "name": name, "mime": mime})

    def _hear(self, upload: Upload) -> None:
        kind = contents.sound_kind(upload.data)
        most = self.resources.settings.max_audio
        if kind is None:
            raise UploadRefused(f"{upload.place}: is no sound; WebM, Ogg, MP4, WAV, MP3 and FLAC are taken")
        if len(upload.data) > most:
            raise TooLarge(f"max_audio: {upload.place} has more than {most} bytes")
        if speech.chosen(self.known) is not None:
            self.spoken.append((upload, kind))
        elif not self.brought.question.strip():
            raise UploadRefused(
                f"{upload.place}: this chatflow does not listen; write, or switch on its speech to text"
            )
        self._keep(upload.name or f"speech{kind.suffix}", kind.mime, upload.data)

    def _type(self, upload: Upload) -> str:
        most = self.resources.settings.max_upload
        if len(upload.data) > most:
            raise TooLarge(f"max_upload: {upload.place} is larger than {most} bytes")
        return contents.document_type(upload.place, upload.name, upload.data)

    # Rules of the flow

    def _rules(self) -> tuple[Rules, bool]:
        """The flow's `fullFileUpload`, and whether its owner says anything there."""
        said = isinstance(self.known.config.get("fullFileUpload"), Mapping)
        return attachments.rules_of(self.known), said

    def _check_documents(self, upload: Upload) -> None:
        rules, said = self._rules()
        if said and not rules.on and not upload.part:
            raise UploadsOff(f"{upload.place}: file upload is not enabled for this chatflow")

    def _check_gate(self, upload: Upload) -> None:
        """A part of a form is for a loader that the flow's owner has opened, or for a flow that takes documents."""
        try:
            gate = Gate.read(chatflows.parse_config("apiConfig", self.known.flow.api_config))
        except BadRequest:
            gate = Gate()  # kept from before such texts were refused
        try:
            flow_upserts.file_loader(self.graph, gate, upload.name)
        except FilesRefused as refused:
            if not self._rules()[0].on:
                raise FilesRefused(f"{upload.place}: {refused.message}") from None

    def _check_types(self, upload: Upload, types: list[str]) -> None:
        rules, _said = self._rules()
        if rules.on and not allowed(types, rules.types):
            listed = ", ".join(rules.types) or "none"
            raise attachments.TypeRefused(
                f"{upload.place}: is {types[0]}, which this chatflow does not take. Allowed: {listed}."
            )

    def _check_text(self) -> None:
        most = self.resources.settings.max_attachment_text
        if sum(len(document.text) for document in self.texts if document) > most:
            raise TooLarge(f"max_attachment_text: the files hold more than {most} characters of text")

    # Keeping

    def _guest(self) -> attachments.Guest:
        flow, caller = self.known.flow, self.caller.name
        visitor = attachments.visitor_of(caller, self.address)
        return attachments.Guest(flow.workspace, flow.id, caller, self._rules()[0], visitor)

    def _name(self, kind: str, name: str, mime: str) -> None:
        self.brought.named.append({"type": kind, "name": name or "document", "mime": mime})

    def _keep(self, name: str, mime: str, data: bytes, part: Part | None = None) -> Attachment:
        """A file of the conversation."""
        self._name(STORED, name, mime)
        return self._hold(part, name, mime, data=data)

    def _hold(
        self, part: Part | None, name: str, mime: str, *, data: bytes | None = None, text: str | None = None
    ) -> Attachment:
        """Anything that comes along, whether or not it is shown as a file."""
        guest = self._guest()
        row = Attachment(
            id=uuid4(),
            chatflow=guest.flow,
            chat=self.chat,
            caller=guest.caller,
            name=name,
            mime=mime,
            size=len(data or b""),
            blob="",
            expires_at=datetime.now(UTC) + timedelta(days=self.resources.settings.attachment_days),
            visitor=guest.visitor,
            part=part,
            **_noted(text),
        )
        self.to_keep.append((row, data))
        return row

    async def _store(self) -> None:
        blobs = self.resources.blobs
        for row, data in self.to_keep:
            if data is None:
                self.brought._rows.append(row)
                continue
            blob = await blobs.put(io.BytesIO(data), limit=len(data))
            self.brought._blobs.append(blob.key)
            self.brought._rows.append(replace(row, blob=blob.key))

    async def _read(self) -> None:
        """The text of documents, by the parsers apart."""
        blobs = {row.id: row.blob for row in self.brought._rows}
        for row, upload, at in self.to_read:
            async with self.resources.blobs.path(blobs[row.id]) as path:
                try:
                    loaded = await self.resources.sandbox.load(Source(path, upload.name, row.mime))
                except LoaderError as error:
                    raise UploadRefused(f"{upload.place}: {error.message}") from None
            self._check_types(upload, types_of(loaded.loader, upload.name))
            text = "\n\n".join(document.page_content for document in loaded.documents)
            self.texts[at] = Attached(upload.name, text)
            self._check_text()
            self.brought._rows = [
                replace(kept, **_noted(text)) if kept.id == row.id else kept for kept in self.brought._rows
            ]
        self.brought.documents += [document for document in self.texts if document is not None]

    async def _listen(self) -> None:
        """What was said takes the place of what was written."""
        if not self.spoken:
            return
        defaults = defaults_from(self.resources.settings, self.resources.egress)
        words = [
            await speech.transcribed(self.resources, self.known, defaults, upload, kind) for upload, kind in self.spoken
        ]
        said = " ".join(filter(None, words))
        if not said and not self.brought.question.strip():
            raise UploadRefused(f"{self.spoken[0][0].place}: nothing was understood; speak again, or write")
        self.brought.question = said or self.brought.question
