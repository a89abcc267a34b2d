"""What the upsert history says of an upsert into a document store: the components that took part."""

from collections.abc import Sequence
from typing import Any

from service.document_stores.intake import Intake
from service.document_stores.types import Component
from service.nodes.service import find, label_of
from service.upsert_history.types import Parameter, described


def flow_data(intakes: Sequence[Intake]) -> list[dict[str, Any]]:
    """Loaders with their splitters, and the embedding, as the contract describes nodes."""
    found = []
    for intake in intakes:
        found.append(_described(intake.component, "Document Loaders"))
        if intake.splitter and intake.splitter.name:
            found.append(_described(intake.splitter, "Text Splitters"))
    return [*found, _described(intakes[0].embedding, "Embeddings")]


def _described(component: Component, category: str) -> dict[str, Any]:
    node = find(component.name)
    fields = {field.name: field for field in node.fields} if node else {}
    parameters = [
        Parameter(name, fields[name].label, fields[name].type.value, value)
        if name in fields
        else Parameter(name, name, "", value)
        for name, value in component.config.items()
    ]
    return described(component.name, component.name, label_of(component.name), category, parameters)
