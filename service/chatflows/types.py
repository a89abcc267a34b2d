"""What a chatflow is, and what a running one says: the events that every surface writes in its own way."""

from collections.abc import Mapping, Sequence
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
    webhook_secret_configured: bool = field(default=False, kw_only=True)
    """Whether calls of its webhook must be signed."""
    created_at: datetime = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)


class BrokenGraph(BadRequest):
    """flowData is not a graph."""

    code = "broken_graph"


class ProblemKind(StrEnum):
    """What a flow that cannot run lacks."""

    GRAPH = "graph"
    """Its nodes are not linked as they would have to be."""
    UNSUPPORTED = "unsupported"
    """A node that this service has no step for."""
    SETTING = "setting"
    """A field of a node, a library, or something that the operator has switched off."""
    CREDENTIAL = "credential"
    """A key that a node needs."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a flow cannot run; `node` is the id in the graph, empty for the flow as a whole."""

    node: str
    text: str
    kind: ProblemKind = ProblemKind.GRAPH
    components: tuple[str, ...] = ()
    """Of a CREDENTIAL: the kinds of credential that would do."""


class FlowNotRunnable(Unprocessable):
    """The flow cannot be run."""

    code = "flow_not_runnable"
    private = True

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        """`problems` says the same node by node, where that is known."""
        super().__init__(message)
        self.problems = tuple(problems)


class Role(StrEnum):
    """Who said a turn of a conversation, by the names of the contract."""

    USER = "userMessage"
    MODEL = "apiMessage"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of an earlier exchange."""

    role: Role
    text: str
    brought: UUID | None = None
    """The user's message, where files came with it."""
    documents: Sequence["Attached"] = ()
    """Documents of these files, and pictures, as far as later questions may have them."""
    pictures: Sequence["Picture"] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found for a question. `metadata` holds source, title, page, heading, docId and more."""

    id: str
    text: str
    metadata: Mapping[str, Any]
    score: float
    document: str = field(default="", compare=False)
    """The id of its document, where it is known."""


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
    seconds: float | None = field(default=None, compare=False)
    """How long the call took; None: nobody measured."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of what a reasoning model thinks aloud before it answers; no part of the answer. The last piece is empty
    and says how many `seconds` it took."""

    text: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Structured:
    """The answer is no text but this JSON value, which an output parser read out of the model's words. A flow that says
    it says no `Token`."""

    value: Any


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """An agent is about to use tools: name and input of each."""

    calls: tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """An agent used a tool, which answered `output`, or failed with `error`."""

    tool: str
    input: Mapping[str, Any]
    output: str
    sources: tuple[Passage, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ToolsUsed:
    """Every use of a tool in this run, in their order; said once, behind the answer's text."""

    uses: tuple[ToolUse, ...]


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What tools made besides text: `type` and `data` of each (contract 1.2)."""

    items: tuple[Mapping[str, Any], ...]


class RunStatus(StrEnum):
    """How an agentflow, or one of its nodes, is (contract 1.3)."""

    INPROGRESS = "INPROGRESS"
    FINISHED = "FINISHED"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"
    TIMEOUT = "TIMEOUT"
    STOPPED = "STOPPED"
    """It waits for a person."""


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """An agentflow began, ended or stopped."""

    status: RunStatus


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node of an agentflow began or ended; `error` says why it failed."""

    node: str
    label: str
    status: RunStatus
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Executed:
    """What a node of an agentflow did. `data` is JSON: `id`, `name`, `input`, `output`, `state` and more (contract
    1.2), without credentials."""

    node: str
    label: str
    data: Mapping[str, Any]
    previous: tuple[str, ...]
    status: RunStatus


@dataclass(frozen=True, slots=True)
class NodesExecuted:
    """Every node that ran so far, in their order."""

    nodes: tuple[Executed, ...]


@dataclass(frozen=True, slots=True)
class Paused:
    """What a run had done when it ended or began to wait for a person: enough to go on from there. All of it is JSON;
    it holds the conversation: keep it as safe as messages."""

    executed: tuple[Executed, ...]
    state: Mapping[str, Any]
    progress: Mapping[str, Any] = field(default_factory=dict)
    """Where it stands, for the engine alone: keep it as it is, and show it to nobody."""


@dataclass(frozen=True, slots=True)
class ActionWanted:
    """The run waits for a person: the contract's `action` (1.2), with what may be answered. The last event but
    `Usage`. `paused` is what `Run.paused` gets back with the answer."""

    action: Mapping[str, Any]
    paused: Paused | None = None


StepEvent = (
    Token
    | Sources
    | Usage
    | Thinking
    | Structured
    | ToolCalls
    | ToolsUsed
    | Artifacts
    | FlowStatus
    | NodeStatus
    | NodesExecuted
    | ActionWanted
)
"""What a running flow says."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that came with the question. `url` is a data URI, or the http(s) address that the caller gave."""

    name: str
    mime: str
    url: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A document that came with the question, as text: what others wrote, so it goes to models between markers only."""

    name: str
    text: str


class Decision(StrEnum):
    """What a person says to a run that waits."""

    PROCEED = "proceed"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class HumanInput:
    """The answer to a run that waits at the node `node` (contract 1.1, `humanInput`)."""

    decision: Decision
    node: str
    feedback: str = ""
