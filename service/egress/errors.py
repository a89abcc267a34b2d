"""What can go wrong with a call to another host, in our words.

EgressError
├── EgressRefused     a URL that may not be called
└── EgressFailed      the host is out of reach, silent, or answers with an error
    └── EgressTooLarge  more bytes than allowed
"""

from service.errors import ServiceError

ALLOW = "RAGSTONE_EGRESS_ALLOW"


class EgressError(ServiceError):
    """A call to another host did not succeed."""

    status, code = 502, "egress_failed"
    private = True


class EgressRefused(EgressError):
    """This URL may not be called."""

    status, code = 422, "egress_refused"


class EgressFailed(EgressError):
    """Another host is out of reach or fails."""

    def __init__(self, message: str = "", *, answer: int | None = None, transient: bool = False) -> None:
        """`answer`: the status that the host answered with, if it did; `transient`: it may work later."""
        super().__init__(message)
        self.answer = answer
        self.transient = transient

    @property
    def gist(self) -> str:
        """Besides, which status the host answered with."""
        return super().gist if self.answer is None else f"Another host answers with status {self.answer}."


class EgressTooLarge(EgressFailed):
    """The answer is larger than allowed."""

    status, code = 413, "egress_too_large"


def not_public(host: str, port: int, *, plain: bool = True) -> EgressRefused:
    """The refusal of a host: one sentence for every reason, so that nobody can learn what lies in a private network.

    `plain`: the host is written as names and addresses are, so that it could stand in the setting.
    """
    place = place_of(host, port) if plain else "HOST:PORT"
    return EgressRefused(
        f"The host '{host}' is unknown or has no public address, and only hosts that have one are called."
        f" To allow this one, start with {ALLOW}={place}"
    )


def place_of(host: str, port: int) -> str:
    """Host and port as they stand in the setting."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
