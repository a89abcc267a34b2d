"""Text that every part of the service can hold: a database refuses NUL, UTF-8 has no lone surrogates."""

import re

_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without NUL, and with U+FFFD for each lone surrogate."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    return _SURROGATES.sub("\ufffd", text)
