"""The JSON shapes of feedback (contract 6.5)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.errors import BadRequest
from service.feedback.types import Feedback, Rating
from service.http.wire import BlankIsNone, Body, Date, IdText, Wire

LONGEST_CONTENT = 10_000
LONGEST_CHAT = 512


class FeedbackBody(Body):
    """What somebody says of an answer."""

    message_id: Annotated[UUID | None, BlankIsNone] = Field(
        None, description="Id of the answer: `chatMessageId`", examples=["0b0f2a53-93f7-4d0f-8f1b-6d4b8cc0a9d3"]
    )
    chatflowid: Annotated[UUID | None, BlankIsNone] = Field(None, alias="chatflowid")
    chat_id: Annotated[str | None, BlankIsNone, IdText] = Field(None, max_length=LONGEST_CHAT)
    rating: Rating | None = Field(None, examples=["THUMBS_UP"])
    content: str | None = Field(None, max_length=LONGEST_CONTENT, examples=["Just what I needed"])

    def of(self) -> UUID:
        """The message. Raises `BadRequest` when it is missing."""
        if self.message_id is None:
            raise BadRequest("messageId: is missing")
        return self.message_id

    def rated(self) -> Rating:
        """The rating. Raises `BadRequest` when it is missing."""
        if self.rating is None:
            raise BadRequest(f"rating: must be {' or '.join(Rating)}")
        return self.rating


class FeedbackChange(Body):
    """What is to change of a feedback."""

    rating: Rating | None = Field(None, examples=["THUMBS_DOWN"])
    content: str | None = Field(None, max_length=LONGEST_CONTENT, examples=["The second source is outdated"])


class FeedbackShown(Wire):
    """The feedback to an answer."""

    id: UUID
    chatflowid: UUID = Field(alias="chatflowid")
    chat_id: str
    message_id: UUID
    rating: Rating
    content: str | None = None
    created_date: Date


class Done(Wire):
    """It is done."""

    status: str = Field("OK", examples=["OK"])


def shown(found: Feedback) -> FeedbackShown:
    """Feedback as callers read it."""
    return FeedbackShown(
        id=found.id,
        chatflowid=found.chatflow,
        chat_id=found.chat,
        message_id=found.message,
        rating=found.rating,
        content=found.content,
        created_date=found.created_at,
    )
