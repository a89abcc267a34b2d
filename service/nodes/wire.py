"""Node definitions in Flowise's shape (contract 3.8)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.http.wire import Body, Wire
from service.nodes import types
from service.nodes.models import MODELS
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
    array: "list[Input] | None" = None
    load_method: str | None = Field(None, alias="loadMethod")


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


OUTPUTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "retriever": ("Retriever", "Finds passages", ()),
    "vectorStore": ("Vector Store", "The store itself", ("VectorStore",)),
    "document": ("Document", "What is found", ("Document", "json")),
    "text": ("Text", "The texts of what is found", ("string", "json")),
}
"""Outputs of steps by name: label, description, classes (none: those of the step)."""

METHODS: Mapping[tuple[str, str], str] = {
    ("", "modelName"): "listModels",
    ("", "region"): "listRegions",
    ("", "selectedStore"): "listStores",
    ("customTool", "selectedTool"): "listTools",
    ("ChatflowTool", "selectedChatflow"): "listChatflows",
    ("agentAsTool", "selectedAgentflow"): "listAgentflows",
}
"""Node (empty: every one) and field -> what lists the field's values (`choices`)."""


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
        outputs=_outputs(node),
        credential=_credential(node),
    )


def _outputs(node: Node) -> list[Output] | None:
    if node.category is Category.LOADERS:
        return DOCUMENTS
    if node.category is Category.VECTOR_STORES:
        return [_output(name, node.base_classes) for name in ("retriever", "vectorStore")]
    return None


def definition_of(form: Mapping[str, Any]) -> NodeDefinition:
    """A step as forms read it, from what it says of itself (`Step.form`)."""
    name: str = form["name"]
    classes: list[str] = form["baseClasses"]
    inputs = [_input(name, item) for item in form["inputs"]]
    names = form.get("credential", {}).get("names")
    outputs = [_output(item["name"], classes) for item in form.get("outputs", ())]
    return NodeDefinition(
        label=form["label"],
        name=name,
        version=form["version"],
        type=form["type"],
        icon=ICONS + name,
        category=form["category"],
        description=form["description"],
        base_classes=classes,
        inputs=inputs,
        outputs=outputs or None,
        credential=_connect(names, optional=True) if names else None,
    )


def _input(node: str, item: Mapping[str, Any]) -> Input:
    method = METHODS.get((node, item["name"])) or METHODS.get(("", item["name"]), "")
    if item["type"] != "string" or (method == "listModels" and node not in MODELS):
        method = ""  # what is not listed is typed in
    listed = {"type": "asyncOptions", "loadMethod": method} if method else {}
    return Input.model_validate({**item, **listed})


def _output(name: str, classes: Sequence[str]) -> Output:
    label, said, kinds = OUTPUTS.get(name, (name.capitalize(), "What it gives", ()))
    return Output(label=label, name=name, description=said, base_classes=list(kinds or classes))


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
        array=[_field(each) for each in item.items] or None,
        load_method=item.method or (METHODS.get(("", item.name)) if item.type is FieldType.ASYNC_OPTIONS else None),
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
    return _connect(node.credentials, optional=node.credential_optional) if node.credentials else None


def _connect(names: Sequence[str], *, optional: bool) -> Input:
    return Input(
        label="Connect Credential",
        name="credential",
        type="credential",
        optional=optional or None,
        credential_names=list(names),
    )


class Override(BaseModel):
    """A field that callers could change for one call, once `apiConfig.overrideConfig` opens it."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    node: str = Field(examples=["ChatOpenAI"])
    node_id: str = Field(alias="nodeId", examples=["chatOpenAI_0"])
    label: str = Field(examples=["Temperature"])
    name: str = Field(examples=["temperature"])
    type: str = Field(examples=["number"])
    schema_: dict[str, str] | None = Field(None, alias="schema", description="Fields of each row of an array")


class NodeData(Body):
    """A node as a graph holds it (`data`)."""

    id: str = Field("", examples=["chatOpenAI_0"])
    name: str = Field("", examples=["chatOpenAI"])
    label: str = Field("", examples=["ChatOpenAI"])
    input_params: list[dict[str, Any]] = Field(
        default_factory=list, description="Its form; absent: the one of this service"
    )


class LoadMethod(Body):
    """What a field wants listed."""

    load_method: str = Field(description="As the field's definition names it", examples=["listModels"])
    inputs: dict[str, Any] | None = Field(None, description="The node's inputs so far")
    previous_nodes: list[dict[str, Any]] | None = Field(None, description="The nodes before it, as `data` of a graph")


class Listed(BaseModel):
    """A value that can be chosen."""

    label: str = Field(examples=["gpt-4o-mini"])
    name: str = Field(examples=["gpt-4o-mini"])
    description: str | None = None


class Template(Wire):
    """A flow to begin with."""

    id: UUID
    template_name: str = Field(examples=["Ask a document store"])
    flow_data: str = Field(description="The graph, as JSON text", examples=['{"nodes":[],"edges":[]}'])
    framework: list[str] = Field(examples=[["Ragstone"]])
    usecases: list[str] = Field(examples=[["Documents QnA"]])
    categories: list[str] = Field(description="Those of its nodes", examples=[["Chains", "Memory"]])
    type: str = Field(description="Chatflow or AgentflowV2", examples=["Chatflow"])
    description: str
