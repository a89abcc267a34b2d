"""What counts as a secret in a configuration: the one table, for everybody who hides, seals or leaves out secrets."""

import json
import re
from typing import Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

REFERENCES = frozenset({"credential", "FLOWISE_CREDENTIAL_ID"})
"""Fields that name a credential by its id; the id is no secret."""

SECRET = re.compile(
    r"(api|access|private|secret|encryption|signing)_?-?key|secret|passw|passphrase|token$|authorization|credential"
    r"|headers?$|cookie|baseoptions|connection_?string",
    re.IGNORECASE,
)
"""Names of fields that may hold a secret."""

QUERY = re.compile(
    r"token|secret|passw|^pwd$|credential|api_?-?key|access_?-?key|signature|^x-(amz|goog)-credential$"
    r"|(^|[._-])(sig|jwt|authorization)$",
    re.IGNORECASE,
)
"""Names of parameters in a URL's query that hold a secret: those of signed links are among them."""

PERHAPS = re.compile(r"(^|[._-])(key|code|auth|session|sessionid|sid)$", re.IGNORECASE)
"""Names of such parameters that hold a secret if it looks like one: many sites number their pages under them."""

RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.~+/=-]{16,}")
"""What somebody has drawn by lot."""

HIDDEN = "***"
"""Stands for a secret in a URL that is shown."""

OPEN = frozenset({"metadata", "omitMetadataKeys"})
"""Fields that hold the caller's own data under whatever names."""

TEXTS = frozenset({"text", "chunks"})
"""Fields that hold documents, whatever these look like."""

LONGEST_URL = 16 * 1024

LONGEST_JSON = 64 * 1024
"""Characters of a text that is looked through as JSON."""


def is_secret(key: str, value: object) -> bool:
    """Whether a field of a configuration may hold a secret, by its name or by what it holds."""
    if key in OPEN or key in REFERENCES or key in TEXTS:
        return False
    return SECRET.search(key) is not None or names_a_password(value) or _holds_named(value)


def is_confidential(key: str, value: object) -> bool:
    """Whether a field is sealed where it is kept: secrets, and URLs with one in their query, which are shown."""
    return is_secret(key, value) or (key not in OPEN and key not in TEXTS and query_names_secret(value))


def names_a_password(value: object) -> bool:
    """Whether it is a URL with a password in it."""
    if not isinstance(value, str) or "@" not in value:
        return False
    try:
        return urlsplit(value).password is not None
    except ValueError:
        return False


def query_names_secret(value: object) -> bool:
    """Whether it is a URL with a secret in its query or fragment."""
    return isinstance(value, str) and len(value) <= LONGEST_URL and "://" in value and redacted(value) != value


def redacted(url: str) -> str:
    """A URL as it may be shown and written to logs: secrets of its query, and a password, are `HIDDEN`. Every other
    sign of it stays, and a text that is no URL stays as it is."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return url
    if not parts.scheme or not parts.netloc:
        return url
    netloc = parts.netloc
    if password is not None:
        user, _, host = netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}:{HIDDEN}@{host}"
    query, fragment = _without_secrets(parts.query), _without_secrets(parts.fragment)
    if (netloc, query, fragment) == (parts.netloc, parts.query, parts.fragment):
        return url
    return urlunsplit((parts.scheme, netloc, parts.path, query, fragment))


_URL = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)


def redacted_text(text: str) -> str:
    """A message with every URL in it `redacted`."""
    return _URL.sub(lambda found: redacted(found[0]), text) if "://" in text and ("=" in text or "@" in text) else text


def _without_secrets(query: str) -> str:
    if "=" not in query:
        return query
    return "&".join(_shown(part) for part in query.split("&"))


def _shown(part: str) -> str:
    name, equals, value = part.partition("=")
    plain = unquote_plus(name)
    secret = QUERY.search(plain) or (PERHAPS.search(plain) and RANDOM.fullmatch(unquote_plus(value)))
    return f"{name}={HIDDEN}" if equals and value and secret else part


def _holds_named(value: object) -> bool:
    """Whether it is a JSON object in a text, as forms send nested settings, with a field that is a secret by name."""
    if not isinstance(value, str) or len(value) > LONGEST_JSON or value.lstrip()[:1] not in ("{", "["):
        return False
    try:
        return _any_named(json.loads(value))
    except (ValueError, RecursionError):
        return False


def _any_named(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_named(key, item) or _any_named(item) for key, item in value.items())
    return isinstance(value, list) and any(_any_named(item) for item in value)


def _named(key: str, value: object) -> bool:
    return key not in REFERENCES and SECRET.search(key) is not None and value not in (None, "", {}, [])
