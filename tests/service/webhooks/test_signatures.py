"""Signatures of calls: in the ways in which senders write them."""

import base64
import hmac
from hashlib import sha1, sha256

import pytest

from service.webhooks import signatures
from service.webhooks.trigger import HEADER
from service.webhooks.types import Mode, SignatureWrong, Trigger

SECRET = "s3cret"
BODY = b'{"a": 1}'
NOW = 1_800_000_000


def trigger(*, plain: bool = False, moment: str = "", tolerance: int = 300) -> Trigger:
    """A start node that wants a signature."""
    return Trigger({}, "", "", True, HEADER, plain, moment, tolerance, Mode.SYNC, "", "")


def mac(text: bytes, digest: str = "sha256") -> str:
    """The signature of a text."""
    return hmac.new(SECRET.encode(), text, {"sha256": sha256, "sha1": sha1}[digest]).hexdigest()


def good(wanted: Trigger, value: str, *, body: bytes = BODY, now: float = NOW, **headers: str) -> bool:
    """Whether a call with this signature is let in."""
    sent = {HEADER: value, **{name.replace("_", "-"): text for name, text in headers.items()}}
    try:
        signatures.verify(wanted, SECRET, sent, body, now)
    except SignatureWrong:
        return False
    return True


@pytest.mark.parametrize(
    "value",
    [mac(BODY), mac(BODY).upper(), f"sha256={mac(BODY)}", f"sha1={mac(BODY, 'sha1')}"],
)
def test_the_body_is_signed(value: str) -> None:
    assert good(trigger(), value)
    assert not good(trigger(), value, body=BODY + b" ")


@pytest.mark.parametrize("value", ["", "x", "sha256=", f"sha256={mac(b'')}", f"md5={mac(BODY)}", "=", "é", SECRET])
def test_what_is_no_signature_is_refused(value: str) -> None:
    assert not good(trigger(), value)


def test_the_moment_is_signed_too_where_the_header_names_it() -> None:
    signed = f"t={NOW},v1={mac(b'%d.' % NOW + BODY)},v1={'0' * 64}"
    assert good(trigger(), signed)
    assert not good(trigger(), signed, now=NOW + 301)
    assert not good(trigger(), signed, now=NOW - 301)
    assert not good(trigger(), f"t={NOW + 1},v1={mac(b'%d.' % NOW + BODY)}")
    assert not good(trigger(), f"v1={mac(BODY)}")
    assert not good(trigger(), f"t=soon,v1={mac(b'soon.' + BODY)}")


def test_the_moment_may_stand_in_a_header_of_its_own() -> None:
    wanted = trigger(moment="x-moment", tolerance=60)
    signed = mac(b"%d." % NOW + BODY)
    assert good(wanted, signed, x_moment=str(NOW))
    assert good(wanted, f"sha256={signed}", x_moment=str(NOW))
    assert good(wanted, f"v0={mac(b'v0:%d:' % NOW + BODY)}", x_moment=str(NOW))
    assert not good(wanted, signed, x_moment=str(NOW), now=NOW + 61)
    assert not good(wanted, mac(BODY))
    assert not good(wanted, mac(BODY), x_moment="")


@pytest.mark.parametrize("text", [b"%d." % NOW + BODY, b"v0:%d:" % NOW + BODY])
def test_a_signed_moment_is_not_taken_for_the_beginning_of_a_body(text: bytes) -> None:
    for value in (mac(text), f"sha256={mac(text)}", f"sha1={mac(text, 'sha1')}"):
        assert not good(trigger(), value, body=text)
    assert good(trigger(), f"t={NOW},v1={mac(b'%d.' % NOW + text)}", body=text)


@pytest.mark.parametrize("value", [SECRET, f"Bearer {SECRET}"])
def test_a_plain_token_is_the_secret(value: str) -> None:
    assert good(trigger(plain=True), value)
    assert not good(trigger(plain=True), value + "x")
    assert not good(trigger(plain=True), mac(BODY))


def test_ours_are_those_of_the_standard_and_flowises() -> None:
    headers = signatures.sign(SECRET, "id-1", BODY, NOW, own=True)
    expected = base64.b64encode(hmac.new(SECRET.encode(), b"id-1.%d." % NOW + BODY, sha256).digest()).decode()
    assert headers == {
        "Webhook-Id": "id-1",
        "Webhook-Timestamp": str(NOW),
        "Webhook-Signature": f"v1,{expected}",
        "X-Flowise-Signature": f"sha256={mac(BODY)}",
    }
    assert "X-Flowise-Signature" not in signatures.sign(SECRET, "id-1", BODY, NOW, own=False)
    assert set(signatures.sign("", "id-1", BODY, NOW, own=False)) == {"Webhook-Id", "Webhook-Timestamp"}
