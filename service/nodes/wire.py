"""Node definitions in Flowise's shape (contract 3.8)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.nodes import types
from service.nodes.types import Category, FieldType, Node

ICONS = "/api/v1/node-icon/"


class Choice(BaseModel):
    """A value of a field that has a fixed list."""

    label: str = Field(examples=["One document per page"])
    name: str = Field(examples=["perPage"])


class Input(BaseModel):
    """A field of a component, or a place (an anchor) that another component is linked to."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    label: str = Field(examples=["Usage"])
    name: str = Field(examples=["usage"])
    type: str = Field(examples=["options"])
    optional: bool | None = None
    list_: bool | None = Field(None, alias="list")
    default: Any = None
    description: str | None = None
    options: list[Choice] | None = None
    file_type: str | None = Field(None, alias="fileType")
    rows: int | None = None
    additional_params: bool | None = Field(None, alias="additionalParams")
    credential_names: list[str] | None = Field(None, alias="credentialNames")


class Output(BaseModel):
    """What a component can be asked for."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    label: str
    name: str
    description: str
    base_classes: list[str] = Field(alias="baseClasses")


class NodeDefinition(BaseModel):
    """A component as forms read it. Fields that say nothing are left out."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    label: str = Field(examples=["Pdf File"])
    name: str = Field(examples=["pdfFile"])
    version: float = Field(examples=[2])
    type: str = Field(examples=["Document"])
    icon: str = Field(examples=["/api/v1/node-icon/pdfFile"])
    category: str = Field(examples=["Document Loaders"])
    description: str
    base_classes: list[str] = Field(alias="baseClasses", examples=[["Document"]])
    inputs: list[Input]
    outputs: list[Output] | None = None
    credential: Input | None = None


DOCUMENTS = [
    Output(label="Document", name="document", description="The documents", base_classes=["Document", "json"]),
    Output(label="Text", name="text", description="Their texts as one", base_classes=["string", "json"]),
]


def definition(node: Node) -> NodeDefinition:
    """A component as forms read it."""
    return NodeDefinition(
        label=node.label,
        name=node.name,
        version=node.version,
        type=node.base_classes[0],
        icon=ICONS + node.name,
        category=node.category.value,
        description=node.description,
        base_classes=list(node.base_classes),
        inputs=[*map(_field, node.fields), *map(_anchor, node.anchors)],
        outputs=DOCUMENTS if node.category is Category.LOADERS else None,
        credential=_credential(node),
    )


def _field(item: types.Field) -> Input:
    return Input(
        label=item.label,
        name=item.name,
        type=item.type.value,
        optional=item.optional or None,
        default=item.default,
        description=item.description or None,
        options=[Choice(label=label, name=name) for name, label in item.choices.items()] or None,
        file_type=item.suffixes or None if item.type is FieldType.FILE else None,
        rows=item.rows or None,
        additional_params=(item.optional and item.name in ("metadata", "omitMetadataKeys")) or None,
    )


def _anchor(item: types.Anchor) -> Input:
    return Input(
        label=item.label,
        name=item.name,
        type=item.accepts,
        optional=item.optional or None,
        list_=item.many or None,
    )


def _credential(node: Node) -> Input | None:
    if not node.credentials:
        return None
    return Input(
        label="Connect Credential",
        name="credential",
        type="credential",
        optional=node.credential_optional or None,
        credential_names=list(node.credentials),
    )
