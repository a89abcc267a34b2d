"""URLs of web pages: one spelling for one page, and which of them are worth a look."""

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

from loaders import LOADERS

LONGEST = 2000
"""Characters; longer ones are made by machines for machines."""

_PORTS = {"http": 80, "https": 443}
_TRACKING = re.compile(r"utm_\w+|gclid|dclid|gbraid|wbraid|fbclid|msclkid|mc_cid|mc_eid|igshid|_ga|_gl", re.IGNORECASE)
_PATH_SIGNS = "/:@!$&'()*+,;=~-._"
_QUERY_SIGNS = _PATH_SIGNS + "?"
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")

_PAGES = frozenset({*LOADERS["html"].suffixes, *LOADERS["code"].suffixes, ".xml"})
"""Suffixes of what may be a page with links: `/wiki/Node.js` is one."""

_DOCUMENTS = frozenset(suffix for row in LOADERS.values() for suffix in row.suffixes) - _PAGES
_UNREADABLE = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg", ".ico", ".bmp", ".tif", ".tiff", ".heic", ".psd",
        ".mp3", ".mp4", ".m4a", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ogg", ".oga", ".ogv", ".wav", ".flac",
        ".woff", ".woff2", ".ttf", ".otf", ".eot", ".map", ".wasm", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar",
        ".tar", ".exe", ".msi", ".dmg", ".pkg", ".deb", ".rpm", ".apk", ".iso", ".bin", ".jar", ".whl", ".xml",
    }
)  # fmt: skip

_BESIDE = frozenset({*LOADERS["code"].mimes, *LOADERS["image"].mimes})
"""What sites are made of beside their documents."""
_MIMES = frozenset(mime for row in LOADERS.values() for mime in row.mimes) - _BESIDE
HTML = frozenset({"text/html", "application/xhtml+xml"})

_SIGN_IN = re.compile(
    r"(?<![^\W_])(?:log-?[io]n|sign-?[io]n|sso|cas|saml2?|oauth2?|openid|authorize|auth|authenticate|idp)(?![^\W_])",
    re.IGNORECASE,
)
"""A word of host or path where visitors sign in."""


def normal(url: str, base: str = "") -> str | None:
    """The one spelling of a URL, relative ones seen from `base`; None for what is no page of http or https, or
    holds a user name.

    Scheme and host in lower case, no default port, no fragment, no dot segments, percent signs only where they are
    needed and then in upper case, without the parameters that only say where a visitor came from.
    """
    try:
        parts = urlsplit(urljoin(base, url.strip()))
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host or len(url) > LONGEST or parts.username is not None:
        return None
    place = f"[{host}]" if ":" in host else _ascii(host)
    if port is not None and port != _PORTS[scheme]:
        place = f"{place}:{port}"
    query = _query(parts.query)
    return f"{scheme}://{place}{_path(parts.path)}{'?' + query if query else ''}"


def source_of(url: str) -> str:
    """What a page is called within a document store."""
    return f"url:{url}"


def origin(url: str) -> str:
    """Scheme, host and port of a normal URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def host_of(url: str) -> str:
    """The host of a URL, as it is shown to people."""
    return urlsplit(url).hostname or url[:100]


def same_site(url: str, scope: str) -> str | None:
    """The URL, if it lies at the origin `scope`; with the scheme of `scope`, if that is all that differs."""
    here, there = urlsplit(url), urlsplit(scope)
    if here.netloc != there.netloc:
        return None
    return url if here.scheme == there.scheme else there.scheme + url[len(here.scheme) :]


def is_variant(one: str, other: str) -> bool:
    """Whether two URLs of a site differ in their query alone, or in how the path's end is written."""
    return _stem(one) == _stem(other)


def related(url: str, scope: str) -> bool:
    """Whether the host of a URL is that of `scope` or lies under it; `www.` does not matter."""
    here, there = (host_of(item).removeprefix("www.") for item in (url, scope))
    return here == there or here.endswith("." + there)


def suffix(url: str) -> str:
    """The suffix of the last part of the path, in lower case, or an empty text."""
    return PurePosixPath(urlsplit(url).path).suffix.lower()


def signs_in(url: str, asked: str) -> bool:
    """Whether a visitor who `asked` for a page was sent to where visitors sign in, by the address."""

    def says(address: str) -> bool:
        parts = urlsplit(address)
        return _SIGN_IN.search(f"{parts.hostname or ''}{parts.path}") is not None

    return says(url) and not says(asked)


def is_document(url: str) -> bool:
    """Whether the name promises a file that a loader reads and that has no links to follow (PDF, Word, ...)."""
    return suffix(url) in _DOCUMENTS


def is_unreadable(url: str) -> bool:
    """Whether the name promises what no loader makes text of (pictures, sounds, archives, scripts)."""
    return suffix(url) in _UNREADABLE


def is_readable_type(mime: str) -> bool:
    """Whether a media type is one of documents, or not known."""
    return not mime or mime in _MIMES or mime in HTML or mime == "application/octet-stream"


def _stem(url: str) -> str:
    return re.sub(r"(?:/(?:index|default)\.\w+|/)\Z", "", urlsplit(url).path)


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        return host


def _path(path: str) -> str:
    kept: list[str] = []
    for part in (path or "/").split("/")[1:]:
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/" + "/".join(_tidy(part, _PATH_SIGNS) for part in kept)


def _query(query: str) -> str:
    if not query:
        return ""
    if len(parse_qsl(query, keep_blank_values=True, max_num_fields=1000)) == 0:
        return _tidy(query, _QUERY_SIGNS)
    kept = [part for part in query.split("&") if part and not _TRACKING.fullmatch(unquote(part.partition("=")[0]))]
    return "&".join(_tidy(part, _QUERY_SIGNS) for part in kept)


def _tidy(text: str, safe: str) -> str:
    """`text` with every sign quoted that has to be, and none that has not. Signs that mean something stay quoted."""
    pieces, last = [], 0
    for found in _PERCENT.finditer(text):
        sign = chr(int(found[0][1:], 16))
        plain = sign if sign.isascii() and (sign.isalnum() or sign in "-._~") else found[0].upper()
        pieces += [quote(text[last : found.start()], safe=safe), plain]
        last = found.end()
    return "".join([*pieces, quote(text[last:], safe=safe)])
