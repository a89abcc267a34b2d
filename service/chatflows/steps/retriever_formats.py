"""Retrievers that add nothing to a search: names for chains that choose, and passages written in a form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.steps.base import Links, Step, StepOptions
from service.chatflows.steps.retrievers import STORE, OverRetriever, TopKOptions
from service.chatflows.types import Passage

DEFAULT_FORMAT = "{{context}}\nSource: {{metadata.source}}"

_PLACE = re.compile(r"\{\{\s*(context|metadata\.[\w.]+)\s*\}\}")


class NamedOptions(StepOptions):
    """What a chain that has several retrievers chooses by."""

    name: str = Field("", title="Retriever Name")
    description: str = Field("", title="Retriever Description", description="When to use it.")


class VectorStoreRetriever(OverRetriever):
    """Gives a vector store a name and a description, for chains that choose among several."""

    label = "Vector Store Retriever"
    base_classes = ("VectorStoreRetriever",)
    outputs = ()
    below = STORE
    anchors = (STORE,)
    Options = NamedOptions


class CustomRetrieverOptions(TopKOptions):
    """Fields of the node."""

    result_format: str = Field(
        DEFAULT_FORMAT, title="Result Format", description="With {{context}} and {{metadata.key}} in it."
    )


class CustomRetriever(OverRetriever):
    """Gives passages written in a form of one's own."""

    label = "Custom Retriever"
    base_classes = ("CustomRetriever", "BaseRetriever")
    below = STORE
    anchors = (STORE,)
    Options = CustomRetrieverOptions
    options: CustomRetrieverOptions

    def shown(self, passages: Sequence[Passage]) -> Sequence[Passage]:
        return [replace(item, text=written(self.options.result_format, item)) for item in passages]


class PromptOptions(StepOptions):
    """Fields of the node."""

    name: str = Field("", title="Prompt Name")
    description: str = Field("", title="Prompt Description", description="What it does, and when to use it.")
    system_message: str = Field("", title="Prompt System Message")


class PromptRetriever(Step):
    """A prompt with a name and a description, for chains that choose among several. It finds no passages."""

    label = "Prompt Retriever"
    category = "Retrievers"
    base_classes = ("PromptRetriever",)
    Options = PromptOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `PromptOptions`."""
        super().__init__(node, options, links)
        self.options: PromptOptions = options


def written(form: str, passage: Passage) -> str:
    """A passage in a form. It is filled in one pass: what is put in is never looked at again."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name == "context":
            return passage.text
        known = _at(passage.metadata, name.removeprefix("metadata."))
        return found[0] if known is None else str(known)

    return _PLACE.sub(value, form)


def _at(metadata: Mapping[str, Any], path: str) -> Any:
    """The value of a field, or of one inside it by `outer.inner`; None where there is none."""
    if path in metadata:
        return metadata[path]
    value: Any = metadata
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
