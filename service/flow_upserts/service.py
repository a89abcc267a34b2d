"""Upserts into a chatflow's vector store: who may, what is brought, one job."""

import asyncio
import io
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from service.chatflows import graph as graphs
from service.chatflows import service as chatflows
from service.chatflows.graph import Graph, Node
from service.chatflows.overrides import Gate
from service.chatflows.types import BrokenGraph, Chatflow
from service.document_stores import service as document_stores
from service.document_stores.types import Component, LoaderRow, Upload
from service.errors import BadRequest, NotFound, ServiceError, Unauthorized, Unprocessable
from service.flow_upserts.choice import kind_of, stores_of, widget_store
from service.flow_upserts.files import FIELDS, loader_for
from service.flow_upserts.plan import plan
from service.flow_upserts.types import Copy, FlowUpsert, Part, Plan, Started
from service.nodes import service as nodes
from service.resources import Resources
from stores.blobs.base import UnknownBlob

COPIED_AT_ONCE = 1_000
"""Documents of a document store that are asked for at a time."""


READ_BY = ("metadata", "omitMetadataKeys")
"""Fields of a loader that fetches which say something of its copies."""


class Closed(Unauthorized):
    """Unauthorized Access"""

    def __init__(self) -> None:
        """The same answer whatever the reason, for callers without a key."""
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


async def flow_for_key(
    resources: Resources, workspace: UUID, flow_id: UUID, key: UUID | None, *, internal: bool = False
) -> Chatflow:
    """The flow that the holder of a key upserts into. `internal`: whatever key the flow is bound to.

    Raises `NotFound`, `Unauthorized` when the flow is bound to another key.
    """
    flow = await chatflows.get(resources.database, workspace, flow_id)
    if flow.api_key_id is not None and flow.api_key_id != key and not internal:
        raise Unauthorized("Unauthorized: this chatflow needs its API key")
    return flow


async def flow_for_widget(resources: Resources, flow_id: UUID, origin: str | None) -> Chatflow:
    """The flow that a page without a key upserts files into: the operator allows that, the flow is bound to no key, one
    vector store of it takes files, the page is one of its pages. Raises `Closed` in every other case."""
    if not resources.settings.widget_upserts or not origin:
        raise Closed
    try:
        known = await chatflows.know(resources, flow_id)
        graph = graphs.parse(known.flow.flow_data)
    except (NotFound, BrokenGraph):
        raise Closed from None
    if known.flow.api_key_id is not None or not known.allows(origin) or widget_store(graph) is None:
        raise Closed
    return await chatflows.get(resources.database, known.flow.workspace, flow_id)


def files_store(graph: Graph) -> Node | None:
    """The one vector store of a flow that takes files of conversations, if there is exactly one that is filled here."""
    return widget_store(graph)


def upserts_of(flow_id: UUID, flow_data: str, graph: Graph) -> dict[str, list[str]]:
    """What an upsert into each vector store of a flow would say, by node id: what has no effect, what brings nothing,
    or why it would be refused."""
    said: dict[str, list[str]] = {}
    for store in stores_of(graph):
        try:
            made = plan(flow_id, flow_data, graph, Gate(), FlowUpsert(stop_node=store.id))
        except ServiceError as error:
            kind = kind_of(store)
            said[store.id] = [*(kind.notes(store) if kind is not None else ()), error.message]
        else:
            said[store.id] = [*made.notes, *made.lacking]
    return said


def file_loader(graph: Graph, gate: Gate, name: str) -> Node:
    """The loader of a flow that takes a file of this name from callers who only ask (contract 1.1, Annex 2 no. 9).

    Raises `FilesRefused`, which says what takes the file or what opens the flow for it.
    """
    loaders = [node for node in graph.nodes.values() if node.name in FIELDS]
    return loader_for(Upload(name, io.BytesIO()), loaders, gate, opened=False)


async def upsert(resources: Resources, flow: Chatflow, asked: FlowUpsert, *, widget: bool = False) -> Started:
    """Queue the job that fills a vector store of the flow. What a widget brings are files of one conversation.

    Raises what `document_stores.upsert` raises; `NoStore`, `AmbiguousStore`, `FilesRefused`, `Unprocessable` naming the
    node, `BadRequest` when nothing is there to upsert.
    """
    graph = await asyncio.to_thread(graphs.parse, flow.flow_data)
    gate = Gate.read(chatflows.parse_config("apiConfig", flow.api_config))
    if widget:
        store = widget_store(graph)
        if store is None or not asked.chat or not asked.files:
            raise Unprocessable("files, chatId: both are needed: the files of a conversation")
        asked, gate = replace(asked, stop_node=store.id, overrides={}), Gate()
    made = plan(flow.id, flow.flow_data, graph, gate, asked)
    if asked.principals is not None:
        made.parts = [(replace(each, principals=asked.principals), uploads) for each, uploads in made.parts]
    async with AsyncExitStack() as stack:
        parts = [*made.parts]
        for copy in made.copies:
            parts += await _copied(resources, flow.workspace, copy, made, stack)
        if not parts:
            lacking = "; ".join(made.lacking) or "its loaders bring nothing"
            raise BadRequest(f"Nothing to upsert into {made.owner.name} ({made.owner.node_id}): {lacking}")
        history: dict[str, Any] = {"target": str(flow.id), "flowData": made.flow_data}
        try:
            job = await document_stores.upsert_parts(
                resources, flow.workspace, made.owner.store_id, parts, owner=made.owner, history=history
            )
        except NotFound as error:
            if str(flow.id) in error.message:
                raise
            raise Unprocessable(f"{made.owner.name} ({made.owner.node_id}): {error.message}") from None
    return Started(job, made.owner.store_id, (*made.notes, *made.lacking))


async def _copied(resources: Resources, workspace: UUID, copy: Copy, made: Plan, stack: AsyncExitStack) -> list[Part]:
    """The documents of a document store, as uploads by the loaders that brought them there."""
    try:
        store = await document_stores.get(resources, workspace, copy.store_id)
    except NotFound as error:
        raise Unprocessable(f"{copy.title}: selectedStore: {error.message}") from None
    uploads: dict[UUID, dict[Sequence[str] | None, list[Upload]]] = {}
    offset = 0
    while rows := await document_stores.documents(resources, workspace, copy.store_id, offset, COPIED_AT_ONCE):
        offset += len(rows)
        for row in rows:
            try:
                path = await stack.enter_async_context(resources.blobs.path(row.blob))
            except UnknownBlob:
                made.notes.append(f"{copy.title}: '{row.name}' has no file here and is left out")
                continue
            upload = Upload(row.name, cast("BinaryIO", _Later(path)), row.mime, f"{copy.source}:{row.source}")
            # Nobody finds a copy who may not find the document; that of nobody in a restricted store is nobody's.
            seen = tuple(row.principals) if row.principals is not None else () if store.restricted else None
            uploads.setdefault(row.loader_id, {}).setdefault(seen, []).append(upload)
    parts: list[Part] = []
    for loader in store.loaders:
        for principals, files in uploads.get(loader.id, {}).items():
            asked = replace(
                copy.upsert,
                loader=_reader(loader),
                splitter=copy.upsert.splitter or loader.splitter,
                loader_label=loader.name,
                principals=principals,
            )
            parts.append((asked, files))
    if not parts:
        made.lacking.append(f"{copy.title}: the document store holds no documents")
    return parts


def _reader(loader: LoaderRow) -> Component:
    """The loader of copies: one that fetches would leave them and ask its place, so that what they are decides."""
    node = nodes.find(loader.component)
    if node is None or not node.connector:
        return Component(loader.component, loader.config)
    return Component("file", {key: loader.config[key] for key in READ_BY if key in loader.config})


class _Later(io.RawIOBase):
    """A file that is opened when it is first read and closed at its end: many wait, one is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.BufferedReader | None = None
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._ended:
            return b""
        if self._file is None:
            self._file = self._path.open("rb")
        piece = self._file.read(size)
        if not piece or size < 0:
            self._ended = True
            self._file.close()
        return piece

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()
