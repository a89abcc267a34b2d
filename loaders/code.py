"""Source code and settings, as they are written."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from langchain_core.documents import Document

from loaders.base import Format, Loader, Source, document, required
from loaders.text import read_text

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript",
        ".jsx": "javascript", ".ts": "typescript", ".tsx": "typescript", ".java": "java", ".kt": "kotlin",
        ".scala": "scala", ".go": "go", ".rs": "rust", ".c": "c", ".h": "c", ".cpp": "cpp", ".cc": "cpp",
        ".hpp": "cpp", ".cs": "csharp", ".swift": "swift", ".rb": "ruby", ".php": "php", ".pl": "perl", ".lua": "lua",
        ".r": "r", ".jl": "julia", ".dart": "dart", ".ex": "elixir", ".hs": "haskell", ".sol": "solidity",
        ".sql": "sql", ".sh": "shell", ".bash": "shell", ".ps1": "powershell", ".bat": "batch", ".css": "css",
        ".scss": "scss", ".vue": "vue", ".svelte": "svelte", ".graphql": "graphql", ".proto": "protobuf",
        ".tf": "terraform", ".toml": "toml", ".ini": "ini", ".cfg": "ini", ".conf": "ini", ".tex": "latex",
    }
)  # fmt: skip
"""The language of a file by its suffix."""


class CodeLoader(Loader):
    """One document of `text` format with its `language` where the suffix tells it, titled by the file's name."""

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        language = LANGUAGES.get(source.suffix)
        place: dict[str, int | str] = {"language": language} if language else {}
        yield required(document(source, read_text(source), title="", form=Format.TEXT, **place))
