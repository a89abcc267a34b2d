"""Splitters: documents to chunks. One file and one row here for each way to cut."""

from collections.abc import Mapping
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

from loaders.splitters.base import Splitter, SplitterError

__all__ = ["FLOWISE_SPLITTERS", "SPLITTERS", "Splitter", "SplitterError", "splitter"]

SPLITTERS: Mapping[str, str] = MappingProxyType(
    {
        "default": "loaders.splitters.default:DefaultSplitter",
        "markdown": "loaders.splitters.markdown:MarkdownSplitter",
        "recursive": "loaders.splitters.recursive:RecursiveSplitter",
        "character": "loaders.splitters.recursive:CharacterSplitter",
        "code": "loaders.splitters.recursive:CodeSplitter",
        "token": "loaders.splitters.token:TokenSplitter",
    }
)

FLOWISE_SPLITTERS: Mapping[str, str] = MappingProxyType(
    {
        "recursiveCharacterTextSplitter": "recursive",
        "characterTextSplitter": "character",
        "tokenTextSplitter": "token",
        "markdownTextSplitter": "markdown",
        # Our HTML loader has made Markdown of the page before it comes to a splitter.
        "htmlToMarkdownTextSplitter": "markdown",
        "codeTextSplitter": "code",
    }
)
"""Flowise's component names."""


def splitter(name: str | None = None, options: Mapping[str, Any] | None = None) -> Splitter:
    """The splitter for one of our names or a Flowise name (`default` for none), with its checked options.

    Raises `SplitterError`, whose `field` is `splitter` for an unknown name, else the option that is wrong.
    """
    found = FLOWISE_SPLITTERS.get(name or "default", name or "default")
    if found not in SPLITTERS:
        known = ", ".join(sorted({*SPLITTERS, *FLOWISE_SPLITTERS}))
        raise SplitterError("name", f"There is no splitter named {name!r}. Known are: {known}.")
    made = resolve_name(SPLITTERS[found])(options or {})
    if not isinstance(made, Splitter):
        raise TypeError(f"{SPLITTERS[found]} is not a Splitter")
    return made
