"""Shapes that all Flowise answers share: camelCase bodies, dates, pages, the error body."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from service.errors import MissingPart, Unprocessable
from service.json_text import check_depth

Row = TypeVar("Row")


class Wire(BaseModel):
    """Base of response bodies: fields in camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class Body(BaseModel):
    """Base of request bodies: camelCase fields; unknown ones are ignored and never stored, as clients send extras."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _only_storable_text(cls, values: object) -> object:
        """Refuse text that Postgres cannot hold: NUL, halves of UTF-16 pairs and NaN, which JSON can write; and
        nesting without end."""
        check_depth(values)
        if (found := _unstorable(values)) is not None:
            raise ValueError(f"{found or 'text'}: holds a NUL, half a character or no finite number")
        return values


def _unstorable(value: object, where: str = "") -> str | None:
    """Where in a JSON value the first text lies that cannot be stored."""
    if isinstance(value, str):
        return where if "\x00" in value or (not value.isprintable() and _LONE.search(value)) else None
    if isinstance(value, float) and not isfinite(value):
        return where
    parts: Iterable[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    for key, part in parts:
        inner = f"{where}.{key}" if where else str(key)
        if (found := _unstorable(key if isinstance(key, str) else "", inner)) is not None:
            return found.encode("ascii", "backslashreplace").decode()
        if (found := _unstorable(part, inner)) is not None:
            return found
    return None


_LONE = re.compile("[\ud800-\udfff]")


class ErrorBody(BaseModel):
    """Flowise's error shape plus `error` (what the widget shows) and `code` (stable, for programs)."""

    statusCode: int = Field(examples=[404])
    success: bool = False
    message: str = Field(examples=["Chatflow 9f… not found"])
    stack: dict[str, Any] = Field(default_factory=dict)
    error: str = Field(examples=["Chatflow 9f… not found"])
    code: str = Field(examples=["not_found"])


class Deleted(BaseModel):
    """How many objects a delete removed, in the shape of the contract (0.2 DEL)."""

    raw: list[Any] = Field(default_factory=list)
    affected: int = 0


def date(value: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ` (contract 0.2): always UTC, three digits; clients compare it as text."""
    value = value.astimezone(UTC)
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


BlankIsNone = BeforeValidator(_blank_is_none)
"""For fields that forms send as an empty text when nothing was chosen."""


def id_text(value: object) -> object:
    """A finite number as the text that JavaScript writes of it, anything else as it is: some clients count their
    conversations, and Flowise takes numbers for names of chats and sessions."""
    if isinstance(value, float) and isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


IdText = BeforeValidator(id_text)
"""For names that clients give to chats and sessions."""


def date_in(name: str, value: str | None) -> datetime | None:
    """A date of a query; without a zone it is UTC. Raises `Unprocessable`, naming the parameter."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise Unprocessable(f"{name}: '{value[:40]}' is not an ISO date") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


Date = Annotated[
    datetime,
    PlainSerializer(date, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T09:30:00.000Z"]}),
]
"""A point in time, written as the contract wants."""


class Paging(BaseModel):
    """`page` (from 1) and `limit`, or neither: the contract's PAGE rule."""

    page: int = 0
    limit: int = 0
    most: int = 10_000

    @property
    def on(self) -> bool:
        """Whether a page was asked for; then lists are wrapped with their total."""
        return self.page > 0 and self.limit > 0

    @property
    def offset(self) -> int:
        """Rows to skip."""
        return (self.page - 1) * self.limit if self.on else 0

    @property
    def size(self) -> int:
        """Rows to return: the page's, or as many as a list has at most."""
        return self.limit if self.on else self.most


def _number(name: str, value: str | None) -> int:
    """The contract's reading of page numbers: not a number counts as absent, a negative one is refused."""
    try:
        number = int(value or 0)
    except ValueError:
        return 0
    if number < 0:
        raise MissingPart(f"{name} must not be negative")
    return min(number, 2**31 - 1)


async def paging(
    request: Request,
    page: Annotated[str | None, Query(description="Page, from 1; works only with `limit`")] = None,
    limit: Annotated[str | None, Query(description="Rows in a page; works only with `page`")] = None,
) -> Paging:
    """The page a request asks for. Raises `Unprocessable` for one that is larger than `max_page`."""
    most: int = request.app.state.resources.settings.max_page
    asked = Paging(page=_number("page", page), limit=_number("limit", limit), most=most)
    if asked.on and asked.limit > most:
        raise Unprocessable(f"max_page: limit: a page has at most {most} rows")
    return asked


Page = Annotated[Paging, Depends(paging)]


def page_or_list(rows: Sequence[Row], total: int, asked: Paging) -> Sequence[Row] | dict[str, Any]:
    """A bare array, or `{data, total}` when both page and limit were given (contract 0.2 PAGE)."""
    return {"data": rows, "total": total} if asked.on else rows
