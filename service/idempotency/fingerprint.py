"""What a request asks for, as a hash that is the same when a client sends it again."""

from collections.abc import Sequence
from hashlib import sha256

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

FORM = b"multipart/form-data"


class Fingerprint:
    """SHA-256 over method, path, query, content type, whom the call is for, and body; feed the body in pieces.

    A multipart body counts by its parts, since clients draw a new boundary for every attempt; one that cannot be read
    counts by its bytes.
    """

    def __init__(self, method: str, path: str, query: bytes, content_type: str, principals: Sequence[str] = ()) -> None:
        """`content_type` as in the header, or empty. `principals`: headers that name an end user, whose answers are no
        other's."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary") if kind == FORM else None
        parts = [method.encode(), path.encode(), query, kind if boundary else content_type.encode()]
        self._head = b"\0".join((*parts, *(text.encode() for text in principals)))
        self._bytes = sha256()
        self._parts = _Parts(boundary) if boundary else None

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._bytes.update(piece)
        if self._parts is not None and not self._parts.feed(piece):
            self._parts = None

    def digest(self) -> bytes:
        """Of everything, when the body is complete."""
        body = self._parts.digest() if self._parts is not None else None
        return sha256(sha256(self._head).digest() + (body or self._bytes.digest())).digest()


class _Parts:
    """The hash over the parts of a multipart body, each by its headers and its content."""

    def __init__(self, boundary: bytes) -> None:
        self._all = sha256(b"parts")
        self._heads = bytearray()
        self._name = bytearray()
        self._value = bytearray()
        self._content = sha256()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_part_data": lambda data, start, end: self._content.update(data[start:end]),
                "on_part_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> bool:
        """False when the body is no multipart body."""
        try:
            self._parser.write(piece)
        except FormParserError:
            return False
        return True

    def digest(self) -> bytes | None:
        """None when the body ended too early."""
        try:
            self._parser.finalize()
        except FormParserError:
            return None
        return self._all.digest()

    def _begin(self) -> None:
        self._heads.clear()
        self._content = sha256()

    def _header(self) -> None:
        self._heads += bytes(self._name).lower() + b":" + bytes(self._value) + b"\n"
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self._all.update(sha256(self._heads).digest() + self._content.digest())
