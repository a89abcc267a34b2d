"""The JSON shapes of changes of principals."""

from uuid import UUID

from pydantic import Field

from service.document_stores.examples import EXAMPLE_ID
from service.document_stores.principals.types import Change
from service.errors import Unprocessable
from service.http.wire import Body
from service.viewers import MOST_OF_DOCUMENT, principals

MOST = 500
"""Changes that one call may bring."""


class ChangeBody(Body):
    """Who may find a document, or what a loader brings. Name one of `documentId`, `source` and `docId`."""

    document_id: UUID | None = Field(None, description="A document", examples=[EXAMPLE_ID])
    source: str | None = Field(None, max_length=10_000, description="A document, by its source", examples=[None])
    doc_id: UUID | None = Field(
        None, description="A loader: its documents, and those that come in through it later", examples=[None]
    )
    principals: list[str] | None = Field(
        description="Who may find it: texts of your own such as `user:anna` and `group:hr`, an empty list for nobody;"
        " null: everybody",
        examples=[["user:anna", "group:hr"]],
    )

    def change(self, place: str) -> Change:
        """The change in the feature's own words. Raises `Unprocessable` naming the field."""
        named = [self.document_id, self.source, self.doc_id]
        if sum(item is not None for item in named) != 1:
            raise Unprocessable(f"{place}: name one of documentId, source and docId")
        checked = principals(self.principals, MOST_OF_DOCUMENT, f"{place}.principals")
        return Change(checked, self.document_id, self.source, self.doc_id, place)


class ChangesBody(Body):
    """Changes, made in their order."""

    changes: list[ChangeBody] = Field(min_length=1, max_length=MOST)

    def asked(self) -> list[Change]:
        """The changes in the feature's own words. Raises `Unprocessable` naming the field."""
        return [item.change(f"changes[{place}]") for place, item in enumerate(self.changes)]
