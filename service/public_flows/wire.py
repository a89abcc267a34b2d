"""What the public sees of a chatflow: the widget's settings, the graph without secrets and prompts, what may be sent
(contract 4.2, 4.3; Annex 2 no. 11 and 12)."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.chatflows import graph as graphs
from service.chatflows.cache import KnownFlow
from service.chatflows.graph import Graph
from service.chatflows.pictures import offers_pictures
from service.chatflows.texts import CODE
from service.chatflows.types import BrokenGraph
from service.chatflows.wire import GRAPH, ChatflowEntity, entity
from service.flow_upserts.service import files_store
from service.http.wire import Wire
from service.secret_names import REFERENCES, is_confidential

SECRET_INPUTS = frozenset({"password", "file", "folder"})
PROMPTS = re.compile(r"prompt|message|instruction|template|scenario|description", re.IGNORECASE)
"""Names of inputs that hold what models are told: not for the public."""

VALUES = re.compile(r"^(body|code|note|state)$|value\d?$", re.IGNORECASE)
"""Names of inputs, and of the fields of their rows, that hold whatever an author wrote: keys in a query, in a body, in
the state that a flow begins with, remarks on sticky notes."""

FORM = re.compile(r"form|startInputType|startEphemeralMemory|startPersistState")
"""What the names of a start node's inputs begin with that widgets read."""

MEGABYTE = 1_000_000


class UploadRule(Wire):
    """Which files may be sent, and how large, in MB."""

    file_types: list[str] = Field(default_factory=list, examples=[["image/png"]])
    max_upload_size: int = Field(examples=[5])


class UploadsConfig(Wire):
    """What a widget may upload."""

    is_speech_to_text_enabled: bool = False
    is_image_upload_allowed: bool = False
    is_r_a_g_file_upload_allowed: bool = Field(False, alias="isRAGFileUploadAllowed")
    img_upload_size_and_types: list[UploadRule] = Field(default_factory=list)
    file_upload_size_and_types: list[UploadRule] = Field(default_factory=list)


class PublicConfig(BaseModel):
    """What a widget needs of a flow: the keys of chatbotConfig at the top level, and these."""

    model_config = ConfigDict(extra="allow", serialize_by_alias=True)

    uploads: UploadsConfig
    flow_data: str = Field(alias="flowData", description="The graph without secrets and prompts", examples=[GRAPH])
    is_tts_enabled: bool = Field(False, alias="isTTSEnabled")


PRIVATE = ("allowedOrigins", "allowedOriginsError", "postProcessing")
"""Keys of chatbotConfig that are rules of the owner's, or code."""


def public_config(known: KnownFlow, uploads: UploadsConfig) -> PublicConfig:
    """The public part of a flow. Speech is off: no step offers it."""
    hidden = {*PRIVATE, *PublicConfig.model_fields}
    shown = {name: value for name, value in known.config.items() if name not in hidden}
    own = {"uploads": uploads, "flowData": public_graph(known.flow.flow_data), "isTTSEnabled": False}
    return PublicConfig.model_validate({**shown, **own})


def public_entity(known: KnownFlow) -> ChatflowEntity:
    """A flow that its owner made public, without what opens other doors: the token of its tool server, the rules of its
    interface, keys of analytics and speech, the key that it is bound to."""
    hidden = dict.fromkeys(("mcp_server_config", "api_config", "analytic", "speech_to_text", "text_to_speech"))
    config = {name: value for name, value in known.config.items() if name not in PRIVATE}
    told = None if known.flow.chatbot_config is None else json.dumps(config, ensure_ascii=False)
    shown = {"flow_data": public_graph(known.flow.flow_data), "chatbot_config": told, "apikeyid": None, **hidden}
    return entity(known.flow).model_copy(update=shown)


PICTURES = ["image/gif", "image/jpeg", "image/png", "image/webp", ""]
"""What widgets offer to send as pictures; Flowise names the empty one too."""


def uploads_of(
    flow_data: str, *, upserts: bool, most: int, most_picture: int, speech_to_text: str | None = None
) -> UploadsConfig:
    """What a widget may upload (contract 4.3): speech where a service that writes it down is on, pictures where a model
    reads them, files for the one vector store that takes them from conversations, where the operator lets widgets
    upsert (`upserts`), by the names that its loader's file field takes. `most` and `most_picture` bytes each."""
    listens = _listens(speech_to_text)
    try:
        graph = graphs.parse(flow_data)
    except BrokenGraph:
        return UploadsConfig(is_speech_to_text_enabled=listens)
    files = _file_rules(graph, flow_data, most) if upserts else []
    shows = offers_pictures(graph)
    pictures = UploadRule(file_types=PICTURES, max_upload_size=max(1, most_picture // MEGABYTE))
    return UploadsConfig(
        is_speech_to_text_enabled=listens,
        is_image_upload_allowed=shows,
        is_r_a_g_file_upload_allowed=bool(files),
        img_upload_size_and_types=[pictures] if shows else [],
        file_upload_size_and_types=files,
    )


def _listens(speech_to_text: str | None) -> bool:
    """Whether an entry of the flow's `speechToText` other than `none` is on."""
    try:
        config = json.loads(speech_to_text) if speech_to_text else {}
    except (ValueError, RecursionError):
        return False
    entries = config.items() if isinstance(config, dict) else ()
    return any(name != "none" and isinstance(entry, dict) and bool(entry.get("status")) for name, entry in entries)


def _file_rules(graph: Graph, flow_data: str, most: int) -> list[UploadRule]:
    store = files_store(graph)
    if store is None:
        return []
    loaders = {node.id for node in graph.behind(store.id, "document")}
    suffixes: dict[str, None] = {}
    for raw in json.loads(flow_data)["nodes"]:
        if str(raw.get("id") or raw["data"].get("id")) in loaders:
            for field in _objects(raw["data"].get("inputParams")):
                if field.get("type") == "file" and isinstance(field.get("fileType"), str):
                    suffixes |= dict.fromkeys(part.strip() for part in field["fileType"].split(",") if part.strip())
    return [UploadRule(file_types=list(suffixes), max_upload_size=max(1, most // MEGABYTE))] if suffixes else []


def public_graph(flow_data: str) -> str:
    """The graph without credentials, secret inputs and prompts; the inputs of a start form stay, widgets draw them."""
    try:
        data = json.loads(flow_data)
    except (ValueError, RecursionError):
        return GRAPH
    nodes = data.get("nodes") if isinstance(data, dict) else None
    if not isinstance(nodes, list):
        return GRAPH
    for node in nodes:
        inner = node.get("data") if isinstance(node, dict) else None
        if isinstance(inner, dict):
            node["data"] = _public_node(inner)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _public_node(node: Mapping[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {name: value for name, value in node.items() if name != "credential"}
    inputs, params = node.get("inputs"), node.get("inputParams")
    if not isinstance(inputs, dict):
        return cleaned
    kinds = {str(item.get("name")): str(item.get("type")) for item in _objects(params)}
    if node.get("name") == "startAgentflow":
        cleaned["inputs"] = {n: _without_credentials(v) for n, v in inputs.items() if FORM.match(n)}
        return cleaned
    cleaned["inputs"] = {
        name: "" if PROMPTS.search(name) and isinstance(value, str) else _without_credentials(value)
        for name, value in inputs.items()
        if kinds.get(name) not in SECRET_INPUTS and not _is_secret(name, value)
        if not (PROMPTS.search(name) and not isinstance(value, str)) and not _is_written(name)
    }
    return cleaned


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_secret(name: str, value: Any) -> bool:
    return name in REFERENCES or "credential" in name.lower() or is_confidential(name, value)


def _is_written(name: str) -> bool:
    """Whether it is code, or may hold anything."""
    return CODE.search(name) is not None or VALUES.search(name) is not None


def _without_credentials(value: Any) -> Any:
    """Nested configurations of agentflow nodes, without what names a credential or a secret."""
    if isinstance(value, dict):
        return {
            key: _without_credentials(item)
            for key, item in value.items()
            if not _is_secret(key, item) and not PROMPTS.search(key) and not _is_written(key)
        }
    if isinstance(value, list):
        return [_without_credentials(item) for item in value]
    return value
