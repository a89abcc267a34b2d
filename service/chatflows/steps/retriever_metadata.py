"""A retriever that has a model read from the question which metadata the passages must have.

The model may name only the fields, and only values of the types, that the node lists: whatever else it writes is
dropped. An answer that holds none of them leaves the search without a filter.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import BadOption, Links, Wanted
from service.chatflows.steps.document_store import both
from service.chatflows.steps.retrievers import MODEL, STORE, OverRetriever, TopKOptions
from service.chatflows.types import Passage
from service.json_text import parsed
from service.predictions.text import clean
from service.retrieval.base import Message

PROMPT = "Extract keywords from the query: {{query}}"

INSTRUCTION = """Read from the user's message which of these fields it speaks of, and with which values. Answer with \
one JSON object of field names and values and with nothing else; leave out every field that the message does not speak \
of. The fields:
{fields}"""

MOST_VALUES = 50
"""Of a list that the model names."""
LONGEST_VALUE = 500
LARGEST = sys.float_info.max

_WANTED = {
    "String": "a text",
    "String Array": "a list of texts",
    "Number": "a number",
    "Boolean": "true or false",
    "Enum": "one of",
}


class MetadataField(BaseModel):
    """A row of the node's grid."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    key: str = Field(min_length=1, max_length=200)
    type: Literal["String", "String Array", "Number", "Boolean", "Enum"] = "String"
    enum_values: str = Field("", alias="enumValues")
    description: str = ""

    @property
    def choices(self) -> list[str]:
        """The values of an Enum."""
        return [part.strip() for part in self.enum_values.split(",") if part.strip()]

    def told(self) -> str:
        """The field, as the model is told of it."""
        more = f" {', '.join(self.choices)}" if self.type == "Enum" else ""
        return f"- {self.key}: {_WANTED[self.type]}{more}. {self.description}".rstrip()

    def condition(self, value: Any) -> Any:
        """What the filter asks of the field; None for a value that is none."""
        if self.type == "Boolean":
            return value if isinstance(value, bool) else None
        if self.type == "Number":
            fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
            return value if fits else None
        if self.type == "String Array":
            texts = [item for item in value if _is_text(item)] if isinstance(value, list) else []
            return {"$in": texts[:MOST_VALUES]} if texts else None
        if not _is_text(value) or (self.type == "Enum" and value not in self.choices):
            return None
        return value


class ExtractMetadataRetrieverOptions(TopKOptions):
    """Fields of the node."""

    prompt: str = Field(
        PROMPT, alias="dynamicMetadataFilterRetrieverPrompt", title="Prompt", description="With {{query}} in it."
    )
    fields: tuple[MetadataField, ...] = Field(
        (),
        alias="dynamicMetadataFilterRetrieverStructuredOutput",
        title="JSON Structured Output",
        description="The metadata that may be filtered by: key, type, enumValues, description.",
    )

    @field_validator("fields", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return parsed(value) if isinstance(value, str) else value


class ExtractMetadataRetriever(OverRetriever):
    """Has a model read a metadata filter from the question, and searches with it."""

    label = "Extract Metadata Retriever"
    base_classes = ("ExtractMetadataRetriever", "BaseRetriever")
    below = STORE
    anchors = (STORE, MODEL)
    Options = ExtractMetadataRetrieverOptions
    options: ExtractMetadataRetrieverOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ExtractMetadataRetrieverOptions`. Raises `BadOption` where no field is listed."""
        super().__init__(node, options, links)
        if not options.fields:
            raise BadOption(
                "dynamicMetadataFilterRetrieverStructuredOutput: list the metadata fields that may be filtered by"
            )

    async def find(self, run: Run, wanted: Wanted) -> Sequence[Passage]:
        """What passes the filter that the model reads from the question."""
        assert self._model is not None
        instruction = INSTRUCTION.format(fields="\n".join(item.told() for item in self.options.fields))
        asked = self.options.prompt.replace("{{query}}", wanted.question)
        answer = await self._model.ask(run)([Message("system", instruction), Message("user", asked)])
        where = both(wanted.where, conditions(answer, self.options.fields))
        return await super().find(run, replace(wanted, where=where))


def conditions(answer: str, fields: Sequence[MetadataField]) -> Mapping[str, Any] | None:
    """The filter in a model's answer; None where it holds nothing that may be filtered by."""
    start, end = answer.find("{"), answer.rfind("}")
    try:
        given = json.loads(answer[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return None
    found = {item.key: item.condition(given[item.key]) for item in fields if item.key in given}
    parts = [{key: value} for key, value in found.items() if value is not None]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"$and": parts}


def _is_text(value: Any) -> bool:
    """Whether a value is a text that a filter can hold: neither NUL nor half of a surrogate pair."""
    return isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= LONGEST_VALUE and value == clean(value)
