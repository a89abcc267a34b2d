"""What a job is to fetch before it indexes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.document_stores.loading.files import source_of


@dataclass(frozen=True, slots=True)
class Errand:
    """What to fetch for a loader, as the job's payload holds it."""

    loader_id: UUID
    component: str
    config: Mapping[str, Any]
    recipe: Mapping[str, Any]
    remake: bool
    namespace: str

    def as_json(self) -> dict[str, Any]:
        """For the payload."""
        return {
            "docId": str(self.loader_id),
            "name": self.component,
            "config": dict(self.config),
            "recipe": dict(self.recipe),
            "remake": self.remake,
            "namespace": self.namespace,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Errand":
        """What `as_json` wrote."""
        loader = UUID(value["docId"])
        return cls(loader, value["name"], value["config"], value["recipe"], value["remake"], value["namespace"])

    @property
    def place(self) -> str:
        """The source of the document that says why the place itself could not be listed."""
        return f"place:{self.loader_id}"

    @property
    def label(self) -> str:
        """What people know the place by."""
        place = source_of(self.component, self.config)
        return place[:500] if place and place != "None" else self.component
