"""Whether a flow reads pictures (contract 4.3, `isImageUploadAllowed`), and which of its models fetch them."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.chatflows.graph import Graph, Node

OFFERING = frozenset(
    {
        "conversationChain",
        "conversationalAgent",
        "llmChain",
        "reactAgentChat",
        "seqStart",
        "supervisor",
        "toolAgent",
    }
)
"""Nodes with which the contract offers pictures to widgets."""

FETCHING = frozenset(
    {
        "azureChatOpenAI",
        "chatAnthropic",
        "chatMistralAI",
        "chatOpenAI",
        "chatOpenAICustom",
        "chatOpenRouter",
        "groqChat",
    }
)
"""Models whose providers take the address of a picture and fetch it themselves. For all others it is fetched here, by
the egress client: their adapters would call it from this machine."""


def offers_pictures(graph: Graph) -> bool:
    """Whether widgets may offer to send pictures: the contract's rule."""
    if any(_sees(inputs) for inputs in _configs(graph)):
        return True
    models = any(_sees(node.inputs) for node in _models(graph))
    return models and any(node.name in OFFERING for node in graph.nodes.values())


def reads_pictures(graph: Graph) -> bool:
    """Whether a model of the flow gets pictures: every chain and agent here passes them on."""
    return any(map(_sees, _configs(graph))) or any(_sees(node.inputs) for node in _models(graph))


def models_fetch(graph: Graph) -> bool:
    """Whether every model that gets pictures takes their address."""
    names = [node.name for node in _models(graph) if _sees(node.inputs)]
    names += [str(config.get(_MODEL) or "") for config in _configs(graph) if _sees(config)]
    return all(name in FETCHING for name in names)


_MODEL = "model"


def _models(graph: Graph) -> Iterator[Node]:
    return (node for node in graph.nodes.values() if node.category == "Chat Models")


def _configs(graph: Graph) -> Iterator[Mapping[str, Any]]:
    """The configurations of models in the nodes of an agentflow: `llmModelConfig` beside `llmModel`, and so on."""
    for node in graph.nodes.values():
        for name, value in node.inputs.items():
            if name.endswith("ModelConfig") and isinstance(value, Mapping):
                yield {**value, _MODEL: node.inputs.get(name.removesuffix("Config"))}


def _sees(inputs: Mapping[str, Any]) -> bool:
    value = inputs.get("allowImageUploads")
    return value is True or (isinstance(value, str) and value.lower() == "true")
