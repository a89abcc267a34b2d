"""The JSON shapes of evaluators (contract 5.2)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from service.evaluators.service import KINDS
from service.evaluators.types import Evaluator, EvaluatorType, JsonOperator, Measure, NumericOperator, TextOperator
from service.http.wire import Body, Date, Wire

OPERATORS = ", ".join((*TextOperator, *JsonOperator, *NumericOperator))
SCHEMA = [{"property": "correct", "type": "boolean", "description": "Whether it says the same", "required": True}]


class EvaluatorFields(Body):
    """The fields of an evaluator; which ones it has, its type says."""

    operator: str | None = Field(
        None, max_length=100, description=f"Of `text`, `json`, `numeric`: {OPERATORS}", examples=["ContainsAny"]
    )
    value: str | int | float | None = Field(
        None,
        description="Of `text`: words, separated by commas. Of `numeric`: an integer",
        examples=["30 days, thirty days"],
    )
    measure: str | None = Field(None, max_length=100, description=f"Of `numeric`: {', '.join(Measure)}")
    prompt: str | None = Field(
        None, description="Of `llm`; `{question}`, `{actualOutput}` and `{expectedOutput}` are filled in"
    )
    output_schema: list[dict[str, Any]] | str | None = Field(
        None, description=f"Of `llm`: the fields that the model answers, each of a type of {', '.join(KINDS)}"
    )

    def given(self) -> Mapping[str, Any]:
        """The fields that are given, by their names on the wire."""
        names = {name: to for name, to in NAMES.items() if name in type(self).model_fields}
        return {to: value for name, to in names.items() if (value := getattr(self, name)) is not None}


NAMES = {
    "name": "name",
    "type": "type",
    "operator": "operator",
    "value": "value",
    "measure": "measure",
    "prompt": "prompt",
    "output_schema": "outputSchema",
}


class NewEvaluator(EvaluatorFields):
    """An evaluator to keep."""

    name: str = Field(max_length=1000, description="What it is called", examples=["Says thirty days"])
    type: str = Field(max_length=100, description=f"One of {', '.join(EvaluatorType)}", examples=["text"])


class EvaluatorChange(EvaluatorFields):
    """What to change of an evaluator; what is left out stays. With another type, all of its fields are needed."""

    name: str | None = Field(None, max_length=1000, description="What it is called", examples=["Says thirty days"])
    type: str | None = Field(None, max_length=100, description=f"One of {', '.join(EvaluatorType)}", examples=["text"])


class EvaluatorEntity(Wire):
    """A kept evaluator; of the fields of types it has those of its own."""

    id: UUID
    name: str = Field(examples=["Says thirty days"])
    type: EvaluatorType = Field(examples=["text"])
    created_date: Date
    updated_date: Date
    workspace_id: UUID
    operator: str | None = Field(None, examples=["ContainsAny"])
    value: str | int | None = Field(None, examples=["30 days, thirty days"])
    measure: str | None = None
    prompt: str | None = None
    output_schema: list[dict[str, Any]] | None = None


class EvaluatorPage(Wire):
    """A page of evaluators."""

    total: int
    data: list[EvaluatorEntity]


def entity(evaluator: Evaluator) -> EvaluatorEntity:
    """An evaluator as clients read it."""
    return EvaluatorEntity(
        id=evaluator.id,
        name=evaluator.name,
        type=evaluator.type,
        created_date=evaluator.created_at,
        updated_date=evaluator.updated_at,
        workspace_id=evaluator.workspace,
        **{name: evaluator.config[to] for name, to in NAMES.items() if to in evaluator.config},
    )
