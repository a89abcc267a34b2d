"""A judge with a prompt of the author's own: Flowise's `llm` evaluator."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from service.errors import Unprocessable
from service.json_schema import Check
from service.metrics.base import Case, Lent, Metric, MetricOptions, Score, Unjudged, not_applicable, scored
from service.metrics.judging import judged
from service.metrics.prompts import GRADED, LONGEST_ANSWER, LONGEST_PASSAGE
from service.retrieval.base import Message
from service.tools.service import json_schema
from service.untrusted import Fence

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "Why, in a sentence"},
        "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "1 is best"},
    },
    "required": ["reason", "score"],
}
"""What is asked for where the author names nothing."""

_VARIABLE = re.compile(r"\{(question|actualOutput|expectedOutput|context)\}")


class JudgedOptions(MetricOptions):
    """What is asked, and what the answer must look like."""

    prompt: str = Field(
        min_length=1,
        max_length=20_000,
        description="With {question}, {actualOutput}, {expectedOutput} and {context} for the row's",
    )
    output_schema: dict[str, Any] | list[dict[str, Any]] = Field(
        default_factory=lambda: dict(SCHEMA), description="A JSON Schema, or Flowise's list of properties"
    )
    score: str = Field("", max_length=200, description="The field that is the value; empty: the first one that is one")

    @field_validator("output_schema", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


class Judged(Metric):
    """The field `score` of the object that a judge answers the author's prompt with: a number as it is, a boolean as 1
    or 0. The object must fit the schema; all of it stands in the details under `graded`. The range is the author's.

    Applicable to rows that were answered; to those with an expected answer alone where the prompt asks for it. A schema
    without a number or boolean grades in words: nothing to average, so not applicable, with the object in the details.
    """

    name = "judged"
    low = None
    high = None
    needs_model = True
    Options = JudgedOptions
    options: JudgedOptions

    def __init__(self, options: Any = None) -> None:
        """`options` are `JudgedOptions`. Raises `Unprocessable` for what is no schema, or has no such field."""
        if options is None:
            raise Unprocessable("metric 'judged': prompt: Field required")
        super().__init__(options)
        given = self.options.output_schema
        try:
            self._schema = json_schema(json.dumps(given)) if given else dict(SCHEMA)
            self._check = Check(self._schema)
        except ValueError as error:
            raise Unprocessable(f"metric 'judged': outputSchema: {error}") from None
        self._field = self.options.score or _first_figure(self._schema["properties"])
        if self._field:
            _check_figure(self._schema["properties"], self._field)

    async def _score(self, case: Case, lent: Lent) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        wanted = set(_VARIABLE.findall(self.options.prompt))
        if "expectedOutput" in wanted and not case.expected:
            return not_applicable("the row has no expected answer")
        if "context" in wanted and case.found is None:
            return not_applicable("the flow does not say what it retrieved")
        graded = await judged(lent, self._messages(case), self._read)
        if not self._field:
            return not_applicable("the schema has no number and no boolean", graded=graded)
        value = graded.get(self._field)
        if not isinstance(value, bool | int | float):
            raise Unjudged(f"the judge gave no number for '{self._field}': {str(value)[:100]}")
        try:
            return scored(float(value), graded=graded)
        except (ValueError, OverflowError):
            raise Unjudged(f"the judge's '{self._field}' is not finite") from None

    def _read(self, value: Any) -> dict[str, Any]:
        if problems := self._check.problems(value):
            raise ValueError(problems)
        found: dict[str, Any] = value
        return found

    def _messages(self, case: Case) -> list[Message]:
        fence = Fence()
        expected = "".join(case.expected[:1])
        texts = {"question": case.question, "actualOutput": case.answer or "", "expectedOutput": expected}

        def put(variable: re.Match[str]) -> str:
            if variable[1] == "context":
                return "\n".join(fence.put(one.text[:LONGEST_PASSAGE], "passage") for one in case.found or ())
            return fence.put(texts[variable[1]][:LONGEST_ANSWER], variable[1])

        asked = _VARIABLE.sub(put, self.options.prompt)
        if asked == self.options.prompt:  # a prompt without variables is still about this answer
            parts = [fence.put(text[:LONGEST_ANSWER], name) for name, text in texts.items() if text]
            asked = "\n\n".join([asked, *parts])
        shape = GRADED.format(schema=json.dumps(self._schema, ensure_ascii=False))
        return [Message("system", f"{shape}\n\n{fence.note}"), Message("user", asked)]


def _first_figure(properties: Mapping[str, Any]) -> str:
    """The property that is the value: `score` where it can be, else the first number or boolean; empty: none is."""
    kinds = {name: item.get("type") for name, item in properties.items() if isinstance(item, Mapping)}
    figures = [name for name, kind in kinds.items() if kind in ("number", "integer", "boolean")]
    return "score" if "score" in figures else figures[0] if figures else ""


def _check_figure(properties: Mapping[str, Any], name: str) -> None:
    if not isinstance(properties.get(name), Mapping):
        raise Unprocessable(f"metric 'judged': score: the schema has no property '{name}'")
    if properties[name].get("type") in ("string", "array", "object", "null"):
        raise Unprocessable(f"metric 'judged': score: the property '{name}' is neither a number nor a boolean")
