"""What a credential is, and what its component (its kind) asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

BLANK = "_FLOWISE_BLANK_07167752-1a71-43b1-bf8f-4f32252165db"
"""Stands for a secret that is kept but not shown; sent back, it means "as it was"."""

HOSTS = "allowedHosts"
"""The input that every component has besides its own: the hosts a credential may be sent to, separated by commas."""

Value = str | int | float | bool


class InputType(StrEnum):
    """How an input is entered. PASSWORD and URL are secrets: connection strings carry passwords."""

    STRING = "string"
    PASSWORD = "password"  # noqa: S105  # the name of a type on the wire
    URL = "url"
    NUMBER = "number"
    BOOLEAN = "boolean"


SECRET_TYPES = frozenset({InputType.PASSWORD, InputType.URL})


@dataclass(frozen=True, slots=True)
class Input:
    """One value of a component. `binds`: it says where the secrets are sent, so that a new value needs them anew."""

    name: str
    label: str
    type: InputType
    optional: bool = False
    default: Value | None = None
    binds: bool = False

    @property
    def secret(self) -> bool:
        """Whether the value is never shown again."""
        return self.type in SECRET_TYPES


@dataclass(frozen=True, slots=True)
class Component:
    """A kind of credential, such as `openAIApi`, under Flowise's name with Flowise's input names."""

    name: str
    label: str
    inputs: tuple[Input, ...]
    version: float = 1.0
    description: str | None = None
    optional: bool = False

    def input(self, name: str) -> Input | None:
        """The input of this name."""
        return next((item for item in self.inputs if item.name == name), None)


@dataclass(frozen=True, slots=True)
class Credential:
    """A saved credential without its values."""

    id: UUID
    workspace: UUID
    name: str
    component: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A saved credential with its values as they lie in the database: sealed by the key of `key_version`."""

    credential: Credential
    key_version: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class OpenCredential:
    """A saved credential with its values in the clear. It stays inside the process; see `service.masked`."""

    credential: Credential
    values: Mapping[str, Value]

    def __repr__(self) -> str:
        return f"OpenCredential({self.credential.id}, {len(self.values)} values)"
