"""Markdown by its headings."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from loaders.splitters.base import CHUNK_SIZE, SplitterError
from loaders.splitters.default import DefaultSplitter

_LEVEL = re.compile(r"h([1-6])")
_DISABLED = "disabled"


class MarkdownSplitter(DefaultSplitter):
    """Like `default`, and with `splitByHeaders` set to `h1` … `h6` headings up to that level always begin a new chunk.

    Sections larger than the size are still cut.
    """

    chunk_size = CHUNK_SIZE

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        named = str(options.get("splitByHeaders") or _DISABLED)
        level = _LEVEL.fullmatch(named)
        if level is None and named != _DISABLED:
            raise SplitterError("splitByHeaders", f"splitByHeaders must be disabled or h1 to h6, not {named!r}.")
        self.level = int(level.group(1)) if level else 0

    def settings(self) -> Mapping[str, str | int | Sequence[str]]:
        """The sizes and the level of headings."""
        return {**super().settings(), "splitByHeaders": self.level}

    def parts(self, level: int) -> bool:
        """Headings up to the chosen level do."""
        return 0 < level <= self.level
