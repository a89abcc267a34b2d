"""What a variable is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class VariableType(StrEnum):
    """Where the value comes from."""

    STATIC = "static"
    """It is kept."""
    RUNTIME = "runtime"
    """From the environment of the service, where the operator allows it."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as it is kept."""

    id: UUID
    workspace: UUID
    name: str
    value: str | None
    type: VariableType
    created_at: datetime
    updated_at: datetime
