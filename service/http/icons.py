"""Neutral pictures of components: two letters on a tile whose colour comes from the name. Drawn here, nobody's logo."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from xml.sax.saxutils import escape

from fastapi import Response

MEDIA_TYPE = "image/svg+xml"


def icon(name: str, label: str) -> str:
    """The picture of a component as SVG, always the same for the same name."""
    hue = int.from_bytes(sha256(name.encode()).digest()[:2]) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64" role="img"'
        f' aria-label="{escape(label)}"><rect width="64" height="64" rx="12" fill="hsl({hue} 45% 40%)"/>'
        '<text x="32" y="41" text-anchor="middle" font-family="sans-serif" font-size="26" font-weight="600"'
        f' fill="#fff">{escape(_letters(label))}</text></svg>'
    )


def answer(name: str, label: str) -> Response:
    """The picture as an answer; it never changes, so browsers may keep it."""
    headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return Response(icon(name, label), media_type=MEDIA_TYPE, headers=headers)


def described(name: str, label: str) -> dict[int | str, Mapping[str, Any]]:
    """How such an answer stands in the OpenAPI document, with an example."""
    content = {MEDIA_TYPE: {"schema": {"type": "string"}, "example": icon(name, label)}}
    return {200: {"content": content, "description": "An SVG picture"}}


def _letters(label: str) -> str:
    """The first letters of the first two words, else the first two letters."""
    words = [word for word in "".join(sign if sign.isalnum() else " " for sign in label).split() if word]
    if len(words) > 1:
        return (words[0][0] + words[1][0]).upper()
    return (words[0][:2] if words else "?").capitalize()
