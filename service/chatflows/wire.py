"""The JSON shapes of chatflows (contract 4)."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.chatflows.types import Chatflow, Draft, FlowType
from service.errors import BadRequest
from service.http.wire import Body, Date, Wire
from service.secret_names import REFERENCES, is_confidential

GRAPH = '{"nodes":[],"edges":[]}'
SECRET_INPUTS = frozenset({"password", "file", "folder"})
PROMPTS = re.compile(r"prompt|message|instruction|template", re.IGNORECASE)
"""Names of inputs that hold prompts: not for the public."""


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


class ChatflowBody(Body):
    """Any of a chatflow's fields. Id, dates and workspace are the server's; sent along they are ignored."""

    name: str | None = Field(None, max_length=1000, examples=["Handbook"])
    flow_data: str | None = Field(None, description="The graph, as JSON text; kept byte for byte", examples=[GRAPH])
    type: str | None = Field(None, description=", ".join(FlowType), examples=["CHATFLOW"])
    deployed: bool | None = None
    is_public: bool | None = None
    apikeyid: Annotated[UUID | None, BeforeValidator(_empty_is_none)] = Field(
        None, alias="apikeyid", description="Id of the API key that predictions must send"
    )
    chatbot_config: str | None = Field(None, description="JSON text (contract 4.2)", examples=["{}"])
    api_config: str | None = Field(None, description="JSON text", examples=["{}"])
    analytic: str | None = Field(None, description="JSON text", examples=["{}"])
    speech_to_text: str | None = Field(None, description="JSON text", examples=["{}"])
    text_to_speech: str | None = Field(None, description="JSON text", examples=["{}"])
    follow_up_prompts: str | None = Field(None, description="JSON text", examples=["{}"])
    category: str | None = Field(None, description="Tags, separated by semicolons", examples=["HR;Docs"])
    mcp_server_config: str | None = Field(None, description="JSON text", examples=["{}"])

    def changes(self) -> dict[str, Any]:
        """The columns that the body names. Raises `BadRequest` for an unknown type."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        if "apikeyid" in named:
            named["api_key_id"] = named.pop("apikeyid")
        for column in ("name", "flow_data", "type"):
            if named.get(column, "") is None:
                del named[column]
        if "type" in named:
            named["type"] = flow_type(named["type"])
        return named

    def draft(self) -> Draft:
        """A new flow's columns. Raises `BadRequest` when type, name or flowData are missing."""
        columns = self.changes()
        for column, name in (("type", "type"), ("name", "name"), ("flow_data", "flowData")):
            if column not in columns:
                raise BadRequest(f"{name}: is missing")
        return Draft(**columns)


def flow_type(text: str) -> FlowType:
    """The type of this name. Raises `BadRequest`."""
    try:
        return FlowType(text)
    except ValueError:
        raise BadRequest(f"type: must be one of {', '.join(FlowType)}, not '{text[:40]}'") from None


class ChatflowEntity(Wire):
    """A chatflow, as Flowise's entity: all columns, JSON columns as text."""

    id: UUID
    name: str = Field(examples=["Handbook"])
    flow_data: str = Field(examples=[GRAPH])
    deployed: bool | None = None
    is_public: bool | None = None
    apikeyid: UUID | None = Field(None, alias="apikeyid")
    chatbot_config: str | None = None
    api_config: str | None = None
    analytic: str | None = None
    speech_to_text: str | None = None
    text_to_speech: str | None = None
    follow_up_prompts: str | None = None
    category: str | None = None
    type: FlowType
    mcp_server_config: str | None = None
    webhook_secret_configured: bool = False
    created_date: Date
    updated_date: Date
    workspace_id: UUID


class ChatflowPage(Wire):
    """A page of chatflows and how many there are in all."""

    data: list[ChatflowEntity]
    total: int = Field(examples=[1])


class Changed(Wire):
    """Whether a flow was changed since a date."""

    has_changed: bool


class Streaming(Wire):
    """Whether predictions of a flow can be streamed."""

    is_streaming: bool = Field(examples=[True])


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


def entity(flow: Chatflow) -> ChatflowEntity:
    """A flow on the wire."""
    return ChatflowEntity(
        id=flow.id,
        name=flow.name,
        flow_data=flow.flow_data,
        deployed=flow.deployed,
        is_public=flow.is_public,
        apikeyid=flow.api_key_id,
        chatbot_config=flow.chatbot_config,
        api_config=flow.api_config,
        analytic=flow.analytic,
        speech_to_text=flow.speech_to_text,
        text_to_speech=flow.text_to_speech,
        follow_up_prompts=flow.follow_up_prompts,
        category=flow.category,
        type=flow.type,
        mcp_server_config=flow.mcp_server_config,
        created_date=flow.created_at,
        updated_date=flow.updated_at,
        workspace_id=flow.workspace,
    )


def public_config(flow_data: str, config: Mapping[str, Any]) -> PublicConfig:
    """The public part of a flow. Features that need a provider for speech or files are off: no step offers them."""
    hidden = {"allowedOrigins", "allowedOriginsError", *PublicConfig.model_fields}
    shown = {name: value for name, value in config.items() if name not in hidden}
    own = {"uploads": UploadsConfig(), "flowData": public_graph(flow_data), "isTTSEnabled": False}
    return PublicConfig.model_validate({**shown, **own})


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
    kinds = {item.get("name"): item.get("type") for item in _objects(params)}
    if node.get("name") == "startAgentflow":
        cleaned["inputs"] = _without_credentials(inputs)
        return cleaned
    cleaned["inputs"] = {
        name: "" if PROMPTS.search(name) and isinstance(value, str) else _without_credentials(value)
        for name, value in inputs.items()
        if kinds.get(name) not in SECRET_INPUTS and not _is_secret(name, value)
        if not (PROMPTS.search(name) and not isinstance(value, str))
    }
    return cleaned


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_secret(name: str, value: Any) -> bool:
    return name in REFERENCES or "credential" in name.lower() or is_confidential(name, value)


def _without_credentials(value: Any) -> Any:
    """Nested configurations of agentflow nodes, without what names a credential or a secret."""
    if isinstance(value, dict):
        return {
            key: _without_credentials(item)
            for key, item in value.items()
            if not _is_secret(key, item) and not PROMPTS.search(key)
        }
    if isinstance(value, list):
        return [_without_credentials(item) for item in value]
    return value
