"""What a chatflow is, and what a running one says: the events that every surface writes in its own way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.errors import BadRequest, Unprocessable


class FlowType(StrEnum):
    """The kinds of flow of the contract (flowise.md 4.1)."""

    CHATFLOW = "CHATFLOW"
    AGENTFLOW = "AGENTFLOW"
    MULTIAGENT = "MULTIAGENT"
    ASSISTANT = "ASSISTANT"


@dataclass(frozen=True, slots=True)
class Draft:
    """The columns of a chatflow that callers set. The `*_config` and similar texts are JSON, kept as they came."""

    name: str
    type: FlowType
    flow_data: str
    deployed: bool | None = None
    is_public: bool | None = None
    api_key_id: UUID | None = None
    chatbot_config: str | None = None
    api_config: str | None = None
    analytic: str | None = None
    speech_to_text: str | None = None
    text_to_speech: str | None = None
    follow_up_prompts: str | None = None
    category: str | None = None
    mcp_server_config: str | None = None


@dataclass(frozen=True, slots=True)
class Chatflow(Draft):
    """A stored chatflow. `version` grows with every change; compiled flows are kept under it."""

    id: UUID = field(kw_only=True)
    workspace: UUID = field(kw_only=True)
    version: int = field(kw_only=True)
    created_at: datetime = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)


class BrokenGraph(BadRequest):
    """flowData is not a graph."""

    code = "broken_graph"


class FlowNotRunnable(Unprocessable):
    """The flow cannot be run."""

    code = "flow_not_runnable"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a flow cannot run; `node` is the id in the graph, empty for the flow as a whole."""

    node: str
    text: str


class Role(StrEnum):
    """Who said a turn of a conversation, by the names of the contract."""

    USER = "userMessage"
    MODEL = "apiMessage"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of an earlier exchange."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found for a question. `metadata` holds source, title, page, heading, docId and more."""

    id: str
    text: str
    metadata: Mapping[str, Any]
    score: float


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The passages that the answer rests on, in the order of their numbers."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one model call took; a run may say this several times."""

    model: str
    input_tokens: int
    output_tokens: int


StepEvent = Token | Sources | Usage
"""What a running flow says."""
