"""Whether a flow can stream: the rules of the contract (flowise.md 1.7), on which clients base what they ask for."""

from collections.abc import Mapping
from typing import Any

from service.chatflows.graph import ENDINGS, Graph, Node
from service.chatflows.types import FlowType

STREAMING_MODELS = frozenset(
    {
        "awsChatBedrock",
        "azureChatOpenAI",
        "azureOpenAI",
        "chatAlibabaTongyi",
        "chatAnthropic",
        "chatAnthropic_LlamaIndex",
        "chatBaiduWenxin",
        "chatCohere",
        "chatFireworks",
        "chatGoogleGenerativeAI",
        "chatLocal",
        "chatMistralAI",
        "chatMistral_LlamaIndex",
        "chatOllama",
        "chatOllama_LlamaIndex",
        "chatOpenAI",
        "chatOpenAICustom",
        "chatOpenAI_LlamaIndex",
        "chatTogetherAI",
        "chatTogetherAI_LlamaIndex",
        "groqChat",
        "chatGroq_LlamaIndex",
        "ollama",
        "openAI",
    }
)
"""Models that stream although exports of older versions lack the field `streaming`."""

SILENT_CHAINS = frozenset({"openApiChain", "vectaraQAChain"})
STREAMING_AGENTS = frozenset(
    {
        "airtableAgent",
        "conversationalRetrievalToolAgent",
        "csvAgent",
        "openAIAssistant",
        "openAIToolAgentLlamaIndex",
        "toolAgent",
    }
)
STREAMING_ENGINES = frozenset({"contextChatEngine", "simpleChatEngine", "queryEngine", "subQuestionQueryEngine"})
AGENTFLOW_START = "startAgentflow"
"""A graph with such a node is an agentflow, whatever type it was stored with."""

AGENT_CATEGORIES = frozenset({"Multi Agents", "Sequential Agents"})


def can_stream(graph: Graph, kind: FlowType, chatbot_config: Mapping[str, Any]) -> bool:
    """Whether predictions of the flow can be streamed."""
    processing = chatbot_config.get("postProcessing")
    if isinstance(processing, Mapping) and processing.get("enabled") is True:
        return False
    endings = graph.endings()
    if kind is FlowType.AGENTFLOW or any(node.name == AGENTFLOW_START for node in graph.nodes.values()):
        return True
    if any(node.category in AGENT_CATEGORIES for node in endings):
        return True
    answering = [node for node in endings if node.category in ENDINGS]
    if not answering:
        return False
    nodes = graph.nodes.values()
    if any(node.category == "Output Parsers" for node in nodes):
        return False
    return all(map(_model_streams, nodes)) and all(map(_ending_streams, answering))


def _model_streams(node: Node) -> bool:
    if node.category not in ("Chat Models", "LLMs"):
        return True
    wanted = node.inputs.get("streaming")
    if wanted is None or wanted == "":
        return node.name in STREAMING_MODELS
    return wanted is not False and str(wanted).lower() != "false"


def _ending_streams(node: Node) -> bool:
    if node.category == "Chains":
        return node.name not in SILENT_CHAINS
    return node.name in (STREAMING_AGENTS if node.category == "Agents" else STREAMING_ENGINES)
