"""What a page links to, read as a stream of tags: no tree is built, nothing fetched, and what comes out is bounded."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.connectors.urls import normal

MOST_LINKS = 5000
_PIECE = 64 * 1024
_LINKING = frozenset({"a", "area"})


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a page in their normal spelling, each once, in the order of the page."""

    urls: tuple[str, ...]
    canonical: str | None
    """The URL that the page calls its own."""
    asks: bool
    """Whether it has something to fill in."""


def links_of(page: bytes, url: str, charset: str = "") -> Links:
    """The links of an HTML page that was found at `url`, at most `MOST_LINKS`. Broken markup gives what it can."""
    from lxml import etree  # type: ignore[import-untyped]  # ships no types

    target = _Target(url)
    try:
        parser = etree.HTMLParser(target=target, encoding=charset or None, no_network=True, huge_tree=False)
    except LookupError:  # a charset that nobody knows
        parser = etree.HTMLParser(target=target, no_network=True, huge_tree=False)
    try:
        for start in range(0, len(page), _PIECE):
            parser.feed(page[start : start + _PIECE])
            if len(target.found) >= MOST_LINKS:
                break
        parser.close()
    except etree.LxmlError:
        pass  # cut off or hostile: what was seen until then counts
    return Links(tuple(target.found), target.canonical, target.asks)


@dataclass(slots=True)
class _Target:
    """Listens to the parser."""

    base: str
    canonical: str | None = None
    asks: bool = False
    found: dict[str, None] = field(default_factory=dict)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.asks = self.asks or tag == "input"
        address = attributes.get("href")
        if not address:
            return
        if tag in _LINKING:
            if len(self.found) < MOST_LINKS and (url := normal(address, self.base)):
                self.found[url] = None
        elif tag == "base":
            self.base = normal(address, self.base) or self.base
        elif tag == "link" and "canonical" in attributes.get("rel", "").lower().split():
            self.canonical = self.canonical or normal(address, self.base)

    def end(self, _tag: str) -> None:
        """Needs nothing."""

    def data(self, _text: str) -> None:
        """Needs nothing."""

    def close(self) -> None:
        """Needs nothing."""
