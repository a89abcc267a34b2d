"""From a flow's graph and a call to what is upserted: the loaders behind a vector store, with their splitters, the
embedding, the record manager, the files that came along."""

import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

from service.chatflows.engine import without_caches
from service.chatflows.graph import Graph, Node
from service.chatflows.overrides import Gate
from service.chatflows.steps.vector_store import CHAT
from service.document_stores.types import Component, Owner, Upload, Upsert
from service.errors import BadRequest, Unprocessable
from service.flow_upserts.choice import choose, kind_of, takes_files
from service.flow_upserts.files import FIELDS, MARKER, component_for, loader_for
from service.flow_upserts.types import Copy, FlowUpsert, Part, Plan
from service.nodes.service import json_object
from service.upsert_history.types import Parameter, described

COPIES = "documentStore"
"""The loader that brings the documents of a document store."""

SHARED_FIELDS = frozenset({"metadata", "omitMetadataKeys"})
"""Fields that every loader has."""

LONGEST_NAME = 300

NO_LOADER = (
    "no document loader is linked to its input 'document': link one and upsert, or use documentStoreVS, which reads a"
    " document store, in its place"
)

Parameters = Mapping[str, Mapping[str, tuple[str, str]]]
"""By node id and field: the field's label and type, as the graph's forms have them."""


def parameters(flow_data: str) -> Parameters:
    """The labels and types of the fields in a graph that `graph.parse` could read."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for raw in json.loads(flow_data)["nodes"]:
        listed = raw["data"].get("inputParams")
        fields = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        found[str(raw.get("id") or raw["data"].get("id"))] = {
            str(item.get("name")): (str(item.get("label") or item.get("name")), str(item.get("type") or ""))
            for item in fields
        }
    return found


def plan(flow_id: UUID, flow_data: str, graph: Graph, gate: Gate, asked: FlowUpsert) -> Plan:
    """What the call upserts. Raises `NoStore`, `AmbiguousStore`, `FilesRefused`, `Unprocessable` naming the node."""
    graph = without_caches(graph)
    store = choose(graph, asked.stop_node)
    return _Planner(flow_id, graph, gate, asked, store, parameters(flow_data)).plan()


@dataclass(slots=True)
class _Planner:
    flow_id: UUID
    graph: Graph
    gate: Gate
    asked: FlowUpsert
    store: Node
    params: Parameters
    seen: list[Node] = field(default_factory=list)

    def plan(self) -> Plan:
        """All of it."""
        store = self.store = self._applied(self.store)
        made = Plan(Owner(self.flow_id, store.id, store.label or store.name))
        kind = kind_of(store)
        assert kind is not None, "the store was chosen among those that can be filled"
        made.notes += kind.notes(store)
        loaders = [self._applied(node) for node in self.graph.behind(store.id, "document")]
        if not loaders:
            raise Unprocessable(f"{store.title}: {NO_LOADER}")
        common = Upsert(
            embedding=self._component(self._behind(store, "embeddings")),
            record_manager=self._component(self._behind(store, "recordManager")),
            vector_store=kind.place(store),
        )
        files: defaultdict[str, list[Upload]] = defaultdict(list)
        for upload in self.asked.files:
            files[loader_for(upload, loaders, self.gate, opened=takes_files(store)).id].append(upload)
        own = takes_files(store) and bool(self.asked.chat and self.asked.files)
        for loader in loaders:
            splitter = self._component(self._behind(loader, "textSplitter"))
            base = replace(common, splitter=splitter, loader_label=loader.label or loader.name)
            if loader.id in files:
                made.parts += self._brought(loader, base, files[loader.id], own=own)
            elif not own:  # what a conversation brings does not bring the rest of the flow anew
                self._load(made, loader, base)
        made.flow_data = [self._described(node) for node in self.seen]
        return made

    # Parts

    def _brought(self, loader: Node, base: Upsert, uploads: list[Upload], *, own: bool) -> Iterator[Part]:
        """The files that came with the call. `own`: only their conversation finds them."""
        config = self._config(loader)
        config.pop(FIELDS[loader.name], None)
        chat = self.asked.chat
        if own:
            given = json_object(config.get("metadata"), f"{loader.title}: metadata")
            config["metadata"] = {**given, CHAT: chat}
        prefix = f"chat {_digest(chat)[:32]}:{_short(loader)}" if own else _short(loader)
        by_component: defaultdict[str, list[Upload]] = defaultdict(list)
        for upload in uploads:
            source = f"{prefix}:{upload.name[-LONGEST_NAME:]}"
            by_component[component_for(upload, loader)].append(replace(upload, source=source))
        for name, group in by_component.items():
            options = config if name == loader.name else {k: v for k, v in config.items() if k in SHARED_FIELDS}
            yield replace(base, loader=Component(name, options)), group

    def _load(self, made: Plan, loader: Node, base: Upsert) -> None:
        """What the graph itself holds or names."""
        config = self._config(loader)
        if loader.name == COPIES:
            self._copy(made, loader, base, config)
        elif loader.name == "plainText":
            text = config.pop("text", "")
            if isinstance(text, str) and text.strip():
                name = loader.label or "Plain Text"
                data = io.BytesIO(text.encode("utf-8", "replace"))
                upload = Upload(name, data, "text/plain", f"{_short(loader)}:text")
                made.parts.append((replace(base, loader=Component(loader.name, config)), [upload]))
            else:
                made.lacking.append(f"{loader.title} has no text")
        elif loader.name in FIELDS:
            value = config.get(FIELDS[loader.name])
            if not value:
                made.lacking.append(f"{loader.title} takes files")
            elif isinstance(value, str) and value.startswith(MARKER):
                made.lacking.append(f"{loader.title}: its file was left behind when the chatflow was exported; send it")
            else:
                made.parts.append((replace(base, loader=Component(loader.name, config)), []))
        else:
            made.parts.append((replace(base, loader=self._component_of(loader, config)), []))

    def _copy(self, made: Plan, loader: Node, base: Upsert, config: Mapping[str, Any]) -> None:
        selected = config.get("selectedStore")
        if not selected:
            made.lacking.append(f"{loader.title} names no document store")
            return
        try:
            store_id = UUID(str(selected))
        except ValueError:
            raise Unprocessable(f"{loader.title}: selectedStore: '{str(selected)[:100]}' is no id") from None
        if store_id == made.owner.store_id:
            raise Unprocessable(f"{loader.title}: selectedStore: is this very vector store")
        made.copies.append(Copy(loader.title, store_id, _short(loader), base))

    # Nodes

    def _applied(self, node: Node) -> Node:
        applied = self.gate.applied(self.graph, node, self.asked.overrides)
        self.seen.append(applied)
        return applied

    def _behind(self, node: Node, anchor: str) -> Node | None:
        found = self.graph.behind(node.id, anchor)
        if len(found) > 1:
            titles = ", ".join(item.title for item in found)
            raise Unprocessable(f"{node.title}: '{anchor}' takes one link, not those of {titles}")
        return self._applied(found[0]) if found else None

    def _component(self, node: Node | None) -> Component | None:
        if node is None:
            return None
        return self._component_of(node, self._config(node))

    def _component_of(self, node: Node, config: Mapping[str, Any]) -> Component:
        credential = {"credential": node.credential} if node.credential else {}
        return Component(node.name, {**config, **credential})

    def _config(self, node: Node) -> dict[str, Any]:
        """The fields of a node that hold a value; what other nodes feed is none of them."""
        linked = {link.input for link in self.graph.into(node.id)} | {"textSplitter"}
        config = {name: value for name, value in node.inputs.items() if name not in linked and value not in (None, "")}
        for name, value in config.items():
            if isinstance(value, str) and value.startswith(MARKER) and name not in FIELDS.values():
                raise BadRequest(f"{node.title}: {name}: no file is read by a name that begins with {MARKER}")
        return config

    def _described(self, node: Node) -> dict[str, Any]:
        labels = self.params.get(node.id, {})
        listed = [Parameter(name, *labels.get(name, (name, "")), value) for name, value in self._config(node).items()]
        return described(node.id, node.name, node.label, node.category, listed)


def _short(node: Node) -> str:
    """A node's id as part of a source."""
    return node.id if len(node.id) <= 100 else _digest(node.id)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
