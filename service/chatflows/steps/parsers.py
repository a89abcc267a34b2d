"""Output parsers: what a chain tells its model about the form of the answer, and how the answer is read."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from csv import reader
from typing import Any, ClassVar

from pydantic import Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.steps.base import BadOption, Links, Step, StepOptions
from service.json_schema import Check
from service.json_text import parsed
from service.model_json import found
from service.zod import BadZod, json_schema

MOST_FIELDS = 200


class Unreadable(ValueError):
    """The answer has not the form that was asked for; the message says what is wrong."""


class ParserOptions(StepOptions):
    """Fields of every parser."""

    autofix_parser: bool = Field(
        False, title="Autofix", description="Ask the model once more when its answer cannot be read."
    )


class ParserStep(Step):
    """Reads a value out of a model's answer."""

    category = "Output Parsers"
    base_classes: ClassVar[tuple[str, ...]] = ("BaseLLMOutputParser",)
    Options: ClassVar[type[StepOptions]] = ParserOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`."""
        super().__init__(node, options, links)
        self.autofix: bool = options.autofix_parser

    @property
    @abstractmethod
    def instructions(self) -> str:
        """What the prompt says about the form of the answer."""

    @abstractmethod
    def value(self, text: str) -> Any:
        """The value in an answer, as JSON has it. Raises `Unreadable`."""


class CsvParser(ParserStep):
    """Reads a list out of an answer with commas."""

    label = "CSV Output Parser"
    base_classes = ("CSVListOutputParser", "BaseLLMOutputParser")

    @property
    def instructions(self) -> str:
        """Values with commas between them."""
        return "Answer with a list of values with commas between them and nothing else, such as: foo, bar, baz"

    def value(self, text: str) -> list[str]:
        """The values, without what is around them."""
        return _values(text, ",")


class ListOptions(ParserOptions):
    """Fields of the node."""

    length: int | None = Field(None, ge=1, le=1000, title="Length", description="How many values are asked for.")
    separator: str = Field(",", title="Separator")


class ListParser(ParserStep):
    """Reads a list out of an answer with separators."""

    label = "Custom List Output Parser"
    base_classes = ("CustomListOutputParser", "BaseLLMOutputParser")
    Options = ListOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ListOptions`."""
        super().__init__(node, options, links)
        self._options: ListOptions = options

    @property
    def instructions(self) -> str:
        """So many values with separators between them."""
        count = f"{self._options.length} " if self._options.length else ""
        shown = f"{self._options.separator} ".join(("foo", "bar", "baz"))
        return f"Answer with a list of {count}values with '{self._options.separator}' between them, such as: {shown}"

    def value(self, text: str) -> list[str]:
        """The values. Raises `Unreadable` when there are more or fewer than asked for."""
        values = _values(text, self._options.separator)
        if self._options.length not in (None, len(values)):
            raise Unreadable(f"{self._options.length} values were asked for, there are {len(values)}")
        return values


def _values(text: str, separator: str) -> list[str]:
    lines = [line for line in text.strip().splitlines() if not line.strip().startswith("```")]
    if separator == ",":
        rows = [row for row in reader(lines, skipinitialspace=True) if row]
        values = [value for row in rows for value in row]
    else:
        values = "\n".join(lines).split(separator)
    told = [value.strip() for value in values]
    kept = [value for value in told if value]
    if not kept:
        raise Unreadable("the answer is empty")
    return kept


class SchemaParser(ParserStep):
    """Reads JSON of a certain form out of an answer."""

    schema: Mapping[str, Any]
    _check: Check

    def _of(self, schema: Mapping[str, Any], field: str) -> None:
        self.schema = schema
        try:
            self._check = Check(schema)
        except ValueError as error:
            raise BadOption(f"{field}: {error}") from None

    @property
    def instructions(self) -> str:
        """The schema."""
        return (
            "Answer with JSON and nothing else, between ```json and ```. It must fit this JSON Schema:\n"
            f"```json\n{json.dumps(self.schema, ensure_ascii=False)}\n```"
        )

    def value(self, text: str) -> Any:
        """The value. Raises `Unreadable` when there is none, or it does not fit."""
        try:
            value = found(text)
        except ValueError as error:
            raise Unreadable(str(error)) from None
        if problems := self._check.problems(value):
            raise Unreadable(problems)
        return value


class StructuredOptions(ParserOptions):
    """Fields of the node."""

    json_structure: list[dict[str, Any]] = Field(
        default_factory=list,
        max_length=MOST_FIELDS,
        title="JSON Structure",
        description="A list of property, type and description, as JSON.",
    )

    @field_validator("json_structure", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return (parsed(value) if value.strip() else []) if isinstance(value, str) else value


class StructuredParser(SchemaParser):
    """Reads an object with named properties out of an answer."""

    label = "Structured Output Parser"
    base_classes = ("StructuredOutputParser", "BaseLLMOutputParser")
    Options = StructuredOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `StructuredOptions`. Raises `BadOption`."""
        super().__init__(node, options, links)
        self._of(of_rows(options.json_structure, "jsonStructure"), "jsonStructure")


TYPES = {"string": "string", "number": "number", "boolean": "boolean", "object": "object", "array": "array"}


def of_rows(rows: list[dict[str, Any]], field: str) -> dict[str, Any]:
    """The JSON Schema of a grid of properties (`property`, `type`, `description`). Raises `BadOption`."""
    properties: dict[str, Any] = {}
    for number, row in enumerate(rows, 1):
        name, kind = str(row.get("property") or "").strip(), str(row.get("type") or "string")
        if not name:
            raise BadOption(f"{field}: row {number} has no property")
        if kind not in TYPES:
            raise BadOption(f"{field}: row {number}: the type '{kind}' is none of {', '.join(TYPES)}")
        about = str(row.get("description") or "")
        properties[name] = {"type": TYPES[kind], **({"description": about} if about else {})}
    return {"type": "object", "properties": properties, "required": [*properties]}


EXAMPLE = """z.object({
    title: z.string(), // Title of the movie as a string
    yearOfRelease: z.number().int(), // Year of its release
    genres: z.array(z.string())
})"""


class AdvancedOptions(ParserOptions):
    """Fields of the node."""

    example_json: str = Field(EXAMPLE, title="Example JSON", description="A schema written for Zod.")


class AdvancedParser(SchemaParser):
    """Reads whatever a Zod schema describes out of an answer."""

    label = "Advanced Structured Output Parser"
    base_classes = ("AdvancedStructuredOutputParser", "BaseLLMOutputParser")
    Options = AdvancedOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `AdvancedOptions`. The schema is parsed, never run. Raises `BadOption` naming what is not
        known in it."""
        super().__init__(node, options, links)
        try:
            schema = json_schema(options.example_json)
        except BadZod as error:
            raise BadOption(f"exampleJson: {error}") from None
        self._of(schema, "exampleJson")
