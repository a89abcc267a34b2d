"""Whom the proxy in front names is believed, and nobody else."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from service.http.middleware import install_middleware
from service.http.proxy import BehindProxy
from service.settings import load


async def _told(*headers: tuple[str, str]) -> tuple[str, str]:
    """Address and scheme of a request from a proxy at 10.0.0.1 with these headers."""
    seen: dict[str, Any] = {}

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.update(scope)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "scheme": "http", "client": ("10.0.0.1", 5), "headers": raw}
    await BehindProxy(app)(scope, None, None)  # type: ignore[arg-type]  # nothing is received or sent
    assert scope["client"] == ("10.0.0.1", 5)
    return seen["client"][0], seen["scheme"]


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], "10.0.0.1"),
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),  # the first was sent by the caller
        (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (["10.0.0.9, 127.0.0.1, 203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["198.51.100.1, unknown"], "10.0.0.1"),
        (["198.51.100.1,"], "10.0.0.1"),
        ([""], "10.0.0.1"),
    ],
)
async def test_the_caller_is_who_the_proxy_says_not_who_the_caller_says(headers: list[str], address: str) -> None:
    assert (await _told(*(("X-Forwarded-For", value) for value in headers)))[0] == address


async def test_the_scheme_is_the_proxys_word() -> None:
    assert await _told(("X-Forwarded-Proto", "https")) == ("10.0.0.1", "https")
    assert await _told(("X-Forwarded-Proto", "http, https")) == ("10.0.0.1", "https")
    assert await _told(("X-Forwarded-Proto", "gopher")) == ("10.0.0.1", "http")


@pytest.mark.parametrize("trusted", [False, True])
def test_nobody_is_believed_unless_the_operator_says_so(trusted: bool, tmp_path: Path) -> None:
    app = FastAPI()
    install_middleware(app, load({}, {"data": tmp_path, "trust_proxy": trusted}))
    assert any(str(item.cls) == str(BehindProxy) for item in app.user_middleware) is trusted
