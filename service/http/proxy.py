"""Who calls, as the reverse proxy in front says it (RAGSTONE_TRUST_PROXY)."""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

SCHEMES = frozenset({"http", "https"})


class BehindProxy:
    """Takes the client's address and the scheme from what the proxy in front has added to a request.

    A proxy appends to `X-Forwarded-For`, so only the last address in it is the proxy's word: those before it are
    whatever the caller has sent, and limits per address must not be counted under them.
    """

    def __init__(self, app: ASGIApp) -> None:
        """`app` is the rest of the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as one of the proxy's client."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            changed = dict(scope)
            scheme = _last(headers.getlist("x-forwarded-proto")).lower()
            if scheme in SCHEMES:
                changed["scheme"] = scheme
            address = _address(_last(headers.getlist("x-forwarded-for")))
            if address:
                changed["client"] = (address, 0)
            scope = changed
        await self._app(scope, receive, send)


def _last(values: list[str]) -> str:
    return values[-1].rpartition(",")[2].strip() if values else ""


def _address(value: str) -> str:
    """An address as proxies write it: bare, with a port, an IPv6 one in brackets; empty for anything else."""
    if value.startswith("["):
        value = value[1:].partition("]")[0]
    elif value.count(":") == 1:
        value = value.partition(":")[0]
    try:
        return str(ip_address(value))
    except ValueError:
        return ""
