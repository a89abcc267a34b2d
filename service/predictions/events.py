"""What a prediction says, whatever surface writes it: the flow's own events, and how it ended."""

from dataclasses import dataclass

from service.chatflows.types import Sources, Token
from service.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Metadata:
    """The answer is complete and stored under `message`."""

    chat: str
    message: str
    question: str
    session: str
    memory: str | None
    """Label of the memory node."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The run failed."""

    error: ServiceError


@dataclass(frozen=True, slots=True)
class Abort:
    """A caller stopped the run; what was written until then is stored."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing follows."""


Event = Token | Sources | Metadata | Failure | Abort | End
