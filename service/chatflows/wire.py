"""The JSON shapes of chatflows (contract 4)."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from service.chatflows.types import Chatflow, Draft, FlowType
from service.errors import BadRequest
from service.http.wire import BlankIsNone, Body, Date, Wire

GRAPH = '{"nodes":[],"edges":[]}'


class ChatflowBody(Body):
    """Any of a chatflow's fields. Id, dates and workspace are the server's; sent along they are ignored."""

    name: str | None = Field(None, max_length=1000, examples=["Handbook"])
    flow_data: str | None = Field(None, description="The graph, as JSON text; kept byte for byte", examples=[GRAPH])
    type: str | None = Field(None, description=", ".join(FlowType), examples=["CHATFLOW"])
    deployed: bool | None = None
    is_public: bool | None = None
    apikeyid: Annotated[UUID | None, BlankIsNone] = Field(
        None, alias="apikeyid", description="Id of the API key that predictions must send"
    )
    chatbot_config: str | None = Field(None, description="JSON text (contract 4.2)", examples=["{}"])
    api_config: str | None = Field(None, description="JSON text", examples=["{}"])
    analytic: str | None = Field(None, description="JSON text", examples=["{}"])
    speech_to_text: str | None = Field(None, description="JSON text", examples=["{}"])
    text_to_speech: str | None = Field(None, description="JSON text", examples=["{}"])
    follow_up_prompts: str | None = Field(None, description="JSON text", examples=["{}"])
    category: str | None = Field(
        None, max_length=10_000, description="Tags, separated by semicolons", examples=["HR;Docs"]
    )
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


class NewChatflow(ChatflowEntity):
    """A chatflow that has just been made."""

    webhook_secret: None = Field(None, description="Always null: a new flow has none")


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


def made(flow: Chatflow) -> NewChatflow:
    """A new flow on the wire."""
    return NewChatflow(**dict(entity(flow)))


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
        webhook_secret_configured=flow.webhook_secret_configured,
        created_date=flow.created_at,
        updated_date=flow.updated_at,
        workspace_id=flow.workspace,
    )
