"""Small rules that connectors share for names: sources of bounded length, lists of patterns."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from hashlib import sha256

from service.connectors.base import BadConnectorOption
from service.json_text import parsed

LONGEST = 1000
"""Characters of a source; an index of Postgres holds keys of some 2,700 bytes."""


def bounded(source: str) -> str:
    """A source that is not too long to be a key: what is cut off is told apart by its hash."""
    if len(source) <= LONGEST:
        return source
    return f"{source[: LONGEST - 65]}#{sha256(source.encode()).hexdigest()}"


def patterns(value: str | list[str]) -> list[str]:
    """Patterns given as a list, as its JSON text, or separated by commas or lines. Raises `BadConnectorOption`."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parsed(value)
        except ValueError as error:
            raise BadConnectorOption(f"patterns: not valid JSON: {error}") from None
    if isinstance(value, str):
        value = value.replace("\n", ",").split(",")
    if not all(isinstance(part, str) for part in value):
        raise BadConnectorOption("patterns: must be texts")
    return [part.strip().strip("/") for part in value if part.strip(" /")]


def fits(path: str, wanted: Sequence[str]) -> bool:
    """Whether a path (with `/`, in its place) fits one of the patterns; one without a slash looks at its last part."""
    name = path.rpartition("/")[2]
    return any(
        fnmatchcase(path, pattern) if "/" in pattern else fnmatchcase(name, pattern)
        for pattern in (each.removeprefix("**/") for each in wanted)
    )
