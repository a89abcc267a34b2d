"""Visits to web sites with good manners: robots.txt, few requests at once, pauses where a site asks for them."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from service.connectors.base import Known
from service.connectors.links import links_of
from service.connectors.urls import HTML, host_of, origin, signs_in
from service.egress.client import Egress, Fetched
from service.egress.errors import EgressError, EgressFailed, EgressTooLarge

if TYPE_CHECKING:
    from protego import Protego

AGENT = "Ragstone"
"""The name that robots.txt may address."""

AT_ONCE = 4
"""Requests to one site at the same time."""

LONGEST_PAUSE = 10.0
"""Seconds between requests that a site may ask for; more is taken as this."""

TRIES = 3
MOST_SITEMAPS = 100
ROBOTS_BYTES = 512 * 1024
_BUSY = frozenset({429, 503})


class Disallowed(EgressError):
    """The robots.txt of a site does not allow a page to be read by programs."""

    status, code = 422, "robots_disallowed"


class SignIn(EgressError):
    """A page is shown only to those who have signed in."""

    status, code = 422, "sign_in_needed"


@dataclass(slots=True)
class _Site:
    """What is known of a site."""

    rules: "Protego | None" = None
    """None: everything is allowed."""
    sitemaps: tuple[str, ...] = ()
    pause: float = 0.0
    asked: bool = True
    """Whether robots.txt was read."""
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: float = 0.0


class Visits:
    """Fetches pages of any number of sites. One event loop."""

    def __init__(self, egress: Egress, *, robots: bool = True) -> None:
        """`robots`: heed robots.txt."""
        self._egress = egress
        self._robots = robots
        self._sites: dict[str, _Site] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(
        self, url: str, *, known: Known | None = None, sink: BinaryIO | None = None, max_bytes: int | None = None
    ) -> Fetched:
        """What is at a URL, whatever the status; 304 when the copy described by `known` is the newest.

        A site that is busy (429, 503) is asked again after the pause it names, a few times. Raises `Disallowed`,
        `EgressError`.
        """
        site = await self._site(url)
        if site.rules is not None and not site.rules.can_fetch(url, AGENT):
            raise Disallowed(
                f"robots.txt of '{host_of(url)}' does not allow programs to read {url}"
                " (the operator can set RAGSTONE_CRAWL_ROBOTS=false)"
            )
        headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        if known is not None and known.etag:
            headers["If-None-Match"] = known.etag
        elif known is not None and known.modified:
            headers["If-Modified-Since"] = known.modified
        for left in range(TRIES - 1, -1, -1):
            async with site.places:
                await self._in_turn(site)
                got = await self._egress.fetch(url, headers=headers, sink=sink, max_bytes=max_bytes)
            if got.status not in _BUSY or not left:
                break
            await asyncio.sleep(_pause(got.headers.get("retry-after", "")))
        return got

    async def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of a URL's site names. Raises `EgressError`."""
        return list((await self._site(url, always=True)).sitemaps)

    async def delay(self, url: str) -> float:
        """Seconds that the site of a URL wants between requests. Raises `EgressError`."""
        return (await self._site(url)).pause

    async def _in_turn(self, site: _Site) -> None:
        """Wait until the site's pause has passed since the request before."""
        if not site.pause:
            return
        loop = asyncio.get_running_loop()
        async with site.turn:
            await asyncio.sleep(max(0.0, site.last + site.pause - loop.time()))
            site.last = loop.time()

    async def _site(self, url: str, *, always: bool = False) -> _Site:
        place = origin(url)
        async with self._asking[place]:
            site = self._sites.get(place)
            if site is None or (always and not site.asked):
                site = await self._ask(place) if self._robots or always else _Site(asked=False)
                self._sites[place] = site
        return site

    async def _ask(self, place: str) -> _Site:
        """What robots.txt says (RFC 9309): there is none, and all is allowed; it cannot be read, and nothing is."""
        from protego import Protego

        sink = BytesIO()
        try:
            got = await self._egress.fetch(f"{place}/robots.txt", sink=sink, max_bytes=ROBOTS_BYTES)
            status = got.status
        except EgressTooLarge:
            status = 200  # what came before the limit counts
        if 500 <= status < 600 or status == 429:
            raise EgressFailed(
                f"robots.txt of '{host_of(place)}' cannot be read (status {status}), so its pages are not.",
                answer=status,
                transient=True,
            )
        if not 200 <= status < 300:
            return _Site()
        rules = Protego.parse(sink.getvalue()[:ROBOTS_BYTES].decode("utf-8", "replace"))
        pause = rules.crawl_delay(AGENT) or 0.0
        return _Site(
            rules if self._robots else None,
            tuple(islice(rules.sitemaps, MOST_SITEMAPS)),
            min(max(float(pause), 0.0), LONGEST_PAUSE) if self._robots else 0.0,
        )


def check_shown(url: str, got: Fetched, page: bytes) -> None:
    """Raises `SignIn` when the `page` that came for `url` is a form to sign in: sites send visitors there with the
    status of success, whatever they asked for."""
    if got.mime in HTML and signs_in(got.url, url) and links_of(page, got.url, got.charset).asks:
        raise SignIn(f"{url} is shown to those who have signed in: it leads to {got.url}")


def _pause(value: str) -> float:
    """Seconds to wait by a Retry-After header; dates are not worth the trouble here."""
    return min(float(value), LONGEST_PAUSE) if value.isdecimal() and len(value) < 9 else 1.0
