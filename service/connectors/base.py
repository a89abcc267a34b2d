"""The connector port: a place outside becomes items, and an item becomes bytes.

A connector only lists and fetches. Loaders read the bytes, document stores keep what they become under the item's
`source`, so the same place is the same source whenever it is asked: a second run replaces, it never doubles.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from service.egress.client import Egress
from service.errors import NotFound, Unprocessable, UpstreamFailed
from service.settings import Settings

GONE = (404, 410)
"""Answers by which a place says that a document is no longer there."""

DETECT = "detect"
"""The loader that goes by what the bytes are."""


class BadConnectorOption(Unprocessable):
    """A field of a connector cannot be used.

    The message names it."""

    code = "bad_connector_option"
    private = True


class Gone(NotFound):
    """A document is no longer at its place."""

    code = "gone"


class Incomplete(UpstreamFailed):
    """A part of the place could not be listed: what is missing in the list may still be there."""

    code = "incomplete_listing"
    private = True


@dataclass(frozen=True, slots=True)
class Item:
    """A remote document as its place lists it. What the place does not say is None."""

    source: str
    """Names it for good within a document store (`url:https://host/page`, `s3://bucket/key`, ...)."""
    name: str
    """What people know it by; becomes the document's name. Never used as a path."""
    url: str | None = None
    """Where people can open it."""
    etag: str | None = None
    modified: str | None = None
    size: int | None = None
    """Bytes."""
    mime: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What was said of the copy that is already at hand."""

    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Got:
    """What is known of an item once its bytes are here."""

    name: str
    size: int
    """Bytes written to the sink."""
    mime: str | None = None
    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class NotModified:
    """The copy at hand is the newest; nothing was written."""


Reveal = Callable[[str], Awaitable[Mapping[str, str]]]
"""Gives the values of the node's credential for one host; empty without a credential. Raises `HostNotAllowed`."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What connectors may use of the service: an allow-list, built by hand."""

    egress: Egress
    settings: Settings
    reveal: Reveal


class ConnectorOptions(BaseModel):
    """Base of options: Flowise's field names in camelCase; an empty text counts as not set, numbers may be texts."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None and value != ""}


def _told(error: Mapping[str, Any]) -> str:
    """A fault of a field. What the options themselves find wrong names its field already."""
    field = ".".join(map(str, error["loc"]))
    message = error["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


class Connector(ABC):
    """A place with documents. Use as an async context manager, or `close` it.

    One event loop.
    """

    Options: ClassVar[type[ConnectorOptions]] = ConnectorOptions

    loader: ClassVar[str] = DETECT
    """The loader that reads what it fetches: a row of `LOADERS`, or `detect`."""

    parallel: ClassVar[int] = 1
    """How many fetches may run at the same time, then also beside the listing; 1: in turn, as `items` yields."""

    def __init__(self, options: Any, outside: Outside) -> None:
        """`options` are of the class's `Options`. Asks nothing."""
        self.outside = outside
        self.refused: list[str] = []
        """Sources that `items` met and left out, as their place refuses to show them: what was fetched of them before
        may still be there, and with it what is only found by them."""

    @classmethod
    def build(cls, config: Mapping[str, Any], outside: Outside) -> Self:
        """The connector by the fields of its node. Raises `BadConnectorOption` naming the field."""
        try:
            options = cls.Options.model_validate(dict(config))
        except ValidationError as error:
            raise BadConnectorOption("; ".join(map(_told, error.errors()))) from None
        return cls(options, outside)

    @property
    def loader_options(self) -> Mapping[str, Any]:
        """What the loader is told besides the node's own fields."""
        return {}

    @abstractmethod
    def items(self) -> AsyncIterator[Item]:
        """The documents of the place, each source once, in an order that stays the same while the place does.

        An empty place yields nothing. Fetch an item as soon as it comes: pages that were read to find others are at
        hand then. Raises a `ServiceError` when the place cannot be listed, after its last item `Incomplete` when parts
        of it cannot; a document that is out of reach is listed all the same, and its `fetch` fails.
        """

    @abstractmethod
    async def fetch(self, item: Item, sink: BinaryIO, known: Known | None = None) -> Got | NotModified:
        """Write the bytes of an item of `items` to `sink`, or say that the copy described by `known` is the newest.

        Raises `Gone` when it is there no more, else a `ServiceError`; the sink may then hold a part.
        """

    async def close(self) -> None:  # noqa: B027  # most hold nothing
        """Give back what was opened."""

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()
