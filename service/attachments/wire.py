"""The JSON shapes of attachments (contract 6.6)."""

from uuid import UUID

from pydantic import Field

from service.attachments.types import ReadAttachment
from service.http.wire import Date, Wire


class AttachmentBody(Wire):
    """A file of a conversation, and what it holds."""

    name: str = Field(examples=["report.pdf"])
    mime_type: str = Field(description="By the file's content", examples=["application/pdf"])
    size: int = Field(description="In bytes", examples=[48213])
    content: str = Field(description="The text, or the bytes in base64", examples=["Every employee has 30 days."])
    id: UUID = Field(examples=["0b0f2a53-93f7-4d0f-8f1b-6d4b8cc0a9d3"])
    expires_date: Date


def body(found: ReadAttachment) -> AttachmentBody:
    """An attachment as clients read it."""
    row = found.attachment
    return AttachmentBody(
        name=row.name,
        mime_type=row.mime,
        size=row.size,
        content=found.content,
        id=row.id,
        expires_date=row.expires_at,
    )
