"""Signatures of calls: those of senders are checked, ours are made. All by HMAC, compared in constant time.

Senders write theirs in several ways, which are told by what stands in the header:

- `HEX`, or `sha256=HEX` (GitHub, Bitbucket), or `sha1=HEX` (older GitHub): of the body;
- `t=SECONDS,v1=HEX` (Stripe): of `SECONDS.BODY`, not older than the flow's tolerance;
- `v0=HEX` (Slack): of `v0:SECONDS:BODY`, with SECONDS in the header that the start node names for it;
- any of the first, where the start node names a header with the moment of signing: of `SECONDS.BODY`.

A body that itself begins as the second and third do is taken with a signed moment only: else what was signed as
`SECONDS.BODY` could come again later as a body of that text, signed without a moment.

Ours are those of the Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature: v1,BASE64`, of
`ID.SECONDS.BODY`), and Flowise's own, `X-Flowise-Signature: sha256=HEX` of the body.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence

from service.webhooks.types import SignatureWrong, Trigger

SLACK = "v0"
STRIPE = "v1"

_MOMENT_FIRST = re.compile(rb"[0-9]{10}\.|v0:[0-9]{10}:")


def verify(trigger: Trigger, secret: str, headers: Mapping[str, str], content: bytes, now: float) -> str:
    """The moment of signing as it is written, and signed; empty where none is. Raises `SignatureWrong` for a call that
    is not signed by this secret, or was too long ago (`now` in seconds)."""
    given = headers.get(trigger.header, "").strip()
    if not given:
        raise SignatureWrong(f"Missing signature header: {trigger.header}")
    moment = ""
    if trigger.plain:
        good = hmac.compare_digest(_bytes(secret), _bytes(given.removeprefix("Bearer ")))
    else:
        parts = [part.strip().partition("=") for part in given.split(",")]
        named = [(name, value) for name, equals, value in parts if equals]
        moment = dict(named).get("t") or (headers.get(trigger.timestamp_header, "") if trigger.timestamp_header else "")
        recent = not (moment or trigger.timestamp_header) or _recent(moment, trigger.tolerance, now)
        told_apart = bool(moment) or not _MOMENT_FIRST.match(content)
        good = recent and told_apart and _signed(_bytes(secret), named, given, moment, content)
    if not good:
        raise SignatureWrong("Invalid webhook signature")
    return moment


def _signed(secret: bytes, named: Sequence[tuple[str, str]], given: str, moment: str, content: bytes) -> bool:
    if not named:
        text = b"%s.%s" % (_bytes(moment), content) if moment else content
        return _equal(secret, text, given, "sha256")
    good = False
    for name, value in named:
        if name == SLACK:
            good |= bool(moment) and _equal(secret, b"v0:%s:%s" % (_bytes(moment), content), value, "sha256")
        elif name == STRIPE:
            good |= bool(moment) and _equal(secret, b"%s.%s" % (_bytes(moment), content), value, "sha256")
        elif name in ("sha256", "sha1"):
            text = b"%s.%s" % (_bytes(moment), content) if moment else content
            good |= _equal(secret, text, value, name)
    return good


def _recent(moment: str, tolerance: int, now: float) -> bool:
    return moment.isascii() and moment.isdigit() and len(moment) < 15 and abs(now - int(moment)) <= tolerance


def _equal(secret: bytes, text: bytes, given: str, digest: str) -> bool:
    return hmac.compare_digest(_bytes(hmac.new(secret, text, digest).hexdigest()), _bytes(given.lower()))


def sign(secret: str, delivery: str, body: bytes, now: int, *, own: bool) -> dict[str, str]:
    """The headers of a call of ours; `own`: signed as Flowise does besides. Without a secret it is not signed."""
    headers = {"Webhook-Id": delivery, "Webhook-Timestamp": str(now)}
    if not secret:
        return headers
    key = _bytes(secret)
    signed = hmac.new(key, b"%s.%d.%s" % (_bytes(delivery), now, body), "sha256").digest()
    headers["Webhook-Signature"] = f"v1,{base64.b64encode(signed).decode()}"
    if own:
        headers["X-Flowise-Signature"] = f"sha256={hmac.new(key, body, 'sha256').hexdigest()}"
    return headers


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
