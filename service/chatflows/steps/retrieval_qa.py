"""Answers single questions from documents, without a conversation."""

from typing import Any

from service.chatflows.graph import Node
from service.chatflows.steps.base import MODERATION, Anchor, Links, ModelStep, RetrieverStep, StepOptions
from service.chatflows.steps.conversational_retrieval import ConversationalRetrieval, ConversationalRetrievalOptions


class RetrievalQAOptions(StepOptions):
    """The node has no fields."""


class RetrievalQA(ConversationalRetrieval):
    """Answers questions about documents, each by itself."""

    label = "Retrieval QA Chain"
    version = 2
    base_classes = ("RetrievalQAChain", "BaseChain")
    anchors = (
        Anchor("model", ModelStep, "Language Model"),
        Anchor("vectorStoreRetriever", RetrieverStep, "Vector Store Retriever"),
        MODERATION,
    )
    Options = RetrievalQAOptions
    remembers = False

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `RetrievalQAOptions`."""
        super().__init__(node, ConversationalRetrievalOptions.model_validate({"returnSourceDocuments": True}), links)


class VectorDbQA(RetrievalQA):
    """Answers questions about documents, each by itself; linked to the vector store itself."""

    label = "VectorDB QA Chain"
    base_classes = ("VectorDBQAChain", "BaseChain")
    anchors = (
        Anchor("model", ModelStep, "Language Model"),
        Anchor("vectorStore", RetrieverStep, "Vector Store"),
        MODERATION,
    )

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `RetrievalQAOptions`."""
        super().__init__(node, options, {**links, "vectorStoreRetriever": links["vectorStore"]})
        self.links = links
