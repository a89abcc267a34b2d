"""Whether the answer is JSON of a schema."""

from typing import Any

from pydantic import Field

from service.errors import Unprocessable
from service.json_schema import Check
from service.json_text import parsed
from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable, scored
from service.model_json import found


class JsonSchemaOptions(MetricOptions):
    """Which schema, and how strict."""

    json_schema: dict[str, Any] = Field(
        default_factory=dict, alias="schema", description="A JSON Schema; none: any JSON will do"
    )
    alone: bool = Field(False, description="Whether the answer must be JSON and nothing else, without fences")


class JsonSchema(PlainMetric):
    """1 when the answer holds JSON that the schema (draft 2020-12) accepts, else 0. Patterns in a schema are not
    checked, references to elsewhere never followed (`service/json_schema.py`).

    Applicable to rows that were answered.
    """

    name = "jsonSchema"
    Options = JsonSchemaOptions
    options: JsonSchemaOptions

    def __init__(self, options: Any = None) -> None:
        """`options` are `JsonSchemaOptions`. Raises `Unprocessable` for what is no schema."""
        super().__init__(options)
        try:
            self._check = Check(self.options.json_schema)
        except ValueError as error:
            raise Unprocessable(f"metric 'jsonSchema': schema: {error}") from None

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        try:
            value = parsed(case.answer.strip()) if self.options.alone else found(case.answer)
        except ValueError as error:
            return scored(0.0, problems=f"no JSON: {error}")
        problems = self._check.problems(value)
        return scored(float(not problems), problems=problems)
