"""JSON in the words of a model: between fences, after a sentence, or alone."""

import json
import re
from typing import Any

from service.json_text import check_depth, parsed

MOST_TRIES = 50
"""Places of a text that are tried as the beginning of a value."""

_FENCED = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_BEGINS = re.compile(r"[{\[]")


def found(text: str) -> Any:
    """The JSON value that a model was asked for: all of its text, what stands between its fences, else the longest
    object or list. Raises `ValueError` when there is none."""
    for part in (text, *(fence[1] for fence in _FENCED.finditer(text))):
        try:
            return parsed(part.strip())
        except ValueError:
            continue
    return _longest(text)


def _longest(text: str) -> Any:
    decoder = json.JSONDecoder()
    best, size, end = None, 0, 0
    for number, place in enumerate(_BEGINS.finditer(text)):
        if number == MOST_TRIES:
            break
        if place.start() < end:
            continue  # a part of what was found
        try:
            value, end = decoder.raw_decode(text, place.start())
        except (ValueError, RecursionError):
            continue
        if end - place.start() > size:
            best, size = value, end - place.start()
    if not size:
        raise ValueError("there is no JSON in it")
    check_depth(best)
    return best
