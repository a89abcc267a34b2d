"""Sitemaps (sitemaps.org): XML, an index of further ones, compressed, or a plain list; bounded in every way."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.connectors.urls import LONGEST, normal
from service.errors import Unprocessable

MOST_BYTES = 50 * 1024 * 1024
"""Of one sitemap, unpacked: what the protocol allows."""

MOST_URLS = 50_000
"""In one sitemap: what the protocol allows."""

_NAMESPACES = ("http://www.sitemaps.org/schemas/sitemap/", "http://www.google.com/schemas/sitemap/0")
_PIECE = 64 * 1024
_GZIP = b"\x1f\x8b"


class BadSitemap(Unprocessable):
    """A sitemap cannot be read."""

    code = "bad_sitemap"
    private = True


@dataclass(slots=True)
class Sitemap:
    """What one sitemap lists, in its order: pages, or further sitemaps."""

    pages: dict[str, None] = field(default_factory=dict)
    sitemaps: dict[str, None] = field(default_factory=dict)


def read_sitemap(data: bytes, url: str) -> Sitemap:
    """The entries of a sitemap that was found at `url`, in their normal spelling. Raises `BadSitemap`."""
    from lxml import etree  # type: ignore[import-untyped]  # ships no types

    unpacked = b"".join(_unpacked(data, url)) if data.startswith(_GZIP) else data
    if unpacked.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"<":
        return _plain(unpacked, url)
    target = _Target()
    # Entities are left alone: a sitemap needs none, and they are how a small file becomes a large one.
    parser = etree.XMLParser(
        target=target, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        for start in range(0, len(unpacked), _PIECE):
            parser.feed(unpacked[start : start + _PIECE])
        parser.close()
    except etree.LxmlError as error:
        if not target.found.pages and not target.found.sitemaps:
            raise BadSitemap(f"{url} is not a sitemap: {str(error)[:200]}") from error
    if not target.known:
        raise BadSitemap(f"{url} is XML, but not a sitemap")
    return target.found


def _unpacked(data: bytes, url: str) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    left, size = data, 0
    try:
        while left and not unpacker.eof:
            piece = unpacker.decompress(left, 1024 * 1024)
            left = unpacker.unconsumed_tail
            size += len(piece)
            if size > MOST_BYTES:
                raise BadSitemap(f"{url} is larger than {MOST_BYTES} bytes, unpacked")
            yield piece
    except zlib.error as error:
        raise BadSitemap(f"{url} cannot be unpacked: {error}") from error


def _plain(data: bytes, url: str) -> Sitemap:
    """A list with a URL in each line."""
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or not all(line.startswith(("http://", "https://")) for line in lines[:20]):
        raise BadSitemap(f"{url} is not a sitemap: neither XML nor a list of URLs")
    pages = (normal(line) for line in lines[:MOST_URLS])
    return Sitemap(dict.fromkeys(page for page in pages if page))


class _Target:
    """Listens to the parser: `loc` right within `url` or `sitemap`, in no namespace or the protocol's."""

    def __init__(self) -> None:
        self.found = Sitemap()
        self.known = False
        self._path: list[str] = []
        self._text: list[str] = []

    def start(self, tag: str, _attributes: object) -> None:
        name = _local(tag)
        self.known = self.known or name in ("urlset", "sitemapindex")
        self._path.append(name)
        self._text.clear()

    def data(self, text: str) -> None:
        if self._path and self._path[-1] == "loc" and sum(map(len, self._text)) <= LONGEST:
            self._text.append(text)

    def end(self, _tag: str) -> None:
        name = self._path.pop() if self._path else ""
        if name == "loc" and len(self._path) == 2:
            lists = {"url": self.found.pages, "sitemap": self.found.sitemaps}
            entries = lists.get(self._path[-1])
            url = normal("".join(self._text))
            if entries is not None and url and len(entries) < MOST_URLS:
                entries[url] = None
        self._text.clear()

    def close(self) -> None:
        """Needs nothing."""


def _local(tag: str) -> str:
    """The name of an element of the protocol; an empty text for one of another namespace."""
    if not tag.startswith("{"):
        return tag
    namespace, _, name = tag[1:].partition("}")
    return name if namespace.startswith(_NAMESPACES) else ""
