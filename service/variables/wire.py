"""The JSON shapes of variables (contract 6.3)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from service.http.wire import Body, Date, Wire
from service.variables.types import Variable, VariableType


class NewVariable(Body):
    """A variable to keep."""

    name: str = Field(max_length=1000, description="Flows find it as `$vars.name`", examples=["company"])
    value: str | None = Field(
        None, max_length=100_000, description="Its value; of a runtime variable it comes from the environment"
    )
    type: VariableType = Field(VariableType.STATIC, description="Where its value comes from", examples=["static"])


class VariableChange(Body):
    """What to change of a variable; what is left out stays."""

    name: str | None = Field(None, max_length=1000, description="Its name", examples=["company"])
    value: str | None = Field(None, max_length=100_000, description="Its value", examples=["Ragstone"])
    type: VariableType | None = Field(None, description="Where its value comes from", examples=["static"])

    def changes(self) -> Mapping[str, Any]:
        """The columns to change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in given.items() if value is not None or name == "value"}


class VariableEntity(Wire):
    """A kept variable."""

    id: UUID
    name: str = Field(examples=["company"])
    value: str | None = Field(examples=["Ragstone"])
    type: VariableType = Field(examples=["static"])
    created_date: Date
    updated_date: Date
    workspace_id: UUID


class VariablePage(Wire):
    """A page of variables."""

    data: list[VariableEntity]
    total: int


def entity(variable: Variable) -> VariableEntity:
    """A variable as clients read it. A runtime variable's value is what was given with it, never the environment's."""
    return VariableEntity(
        id=variable.id,
        name=variable.name,
        value=variable.value,
        type=variable.type,
        created_date=variable.created_at,
        updated_date=variable.updated_at,
        workspace_id=variable.workspace,
    )
