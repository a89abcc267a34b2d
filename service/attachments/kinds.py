"""The MIME types of a file, by what it holds."""

import mimetypes
from collections.abc import Collection
from pathlib import PurePosixPath

from loaders import LOADERS

PLAIN = "text/plain"
TEXTS = frozenset({"text", "markdown", "csv", "tsv", "json", "jsonl", "yaml", "rst", "org", "vtt", "srt", "code"})
"""Kinds of text that do nothing when they are shown: named as plain text, they are plain text too."""

OTHER_NAMES = {
    ".sql": "application/sql",
    ".toml": "application/toml",
    ".ts": "text/x-typescript",
}
"""Types that Python's table lacks or has for something else."""

OTHER_TYPES = {"application/x-sql": "application/sql", "text/x-yaml": "application/yaml"}
"""Further names of types, as widgets write them."""


def types_of(loader: str, name: str) -> list[str]:
    """The MIME types that fit a file which `loader` has read, the best first.

    Content decides; a name only tells kinds of text apart that have no marks of their own."""
    guessed = _by_name(name)
    known = list(LOADERS[loader].mimes) if loader in LOADERS else []
    if loader == "code":
        known = [guessed] if guessed.startswith("text/") or guessed in known else []
        known += [mime for mime in OTHER_NAMES.values() if mime == guessed and mime not in known]
    if guessed in known:
        known.remove(guessed)
        known.insert(0, guessed)
    known += [mime for mime, meant in OTHER_TYPES.items() if meant in known]
    if not known or (loader in TEXTS and guessed in (PLAIN, "") and PLAIN not in known):
        known.append(PLAIN)
    return known


def _by_name(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return OTHER_NAMES.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0] or ""


def allowed(types: Collection[str], rules: Collection[str]) -> bool:
    """Whether one of a file's types is among those that are allowed; an empty list allows nothing."""
    return not {mime.lower() for mime in types}.isdisjoint(rules)
