"""Loaders: bytes to documents. One file and one row here for each format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from types import MappingProxyType

from loaders.base import Failure, Loader, LoaderError


@dataclass(frozen=True, slots=True)
class LoaderRow:
    """A loader: where its class is ("module:Class"), and which file names and MIME types point to it."""

    target: str
    label: str
    suffixes: tuple[str, ...]
    mimes: tuple[str, ...]


LOADERS: Mapping[str, LoaderRow] = MappingProxyType(
    {
        "text": LoaderRow("loaders.text:TextLoader", "plain text", (".txt", ".text", ".log"), ("text/plain",)),
        "markdown": LoaderRow(
            "loaders.markdown:MarkdownLoader",
            "Markdown",
            (".md", ".markdown", ".mdown", ".mkd", ".mdx"),
            ("text/markdown", "text/x-markdown"),
        ),
        "html": LoaderRow(
            "loaders.html:HtmlLoader", "HTML", (".html", ".htm", ".xhtml"), ("text/html", "application/xhtml+xml")
        ),
        "pdf": LoaderRow("loaders.pdf:PdfLoader", "PDF", (".pdf",), ("application/pdf",)),
        "docx": LoaderRow(
            "loaders.docx:DocxLoader",
            "Word (DOCX)",
            (".docx", ".docm", ".dotx"),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",),
        ),
        "csv": LoaderRow("loaders.csv:CsvLoader", "CSV", (".csv",), ("text/csv", "application/csv")),
        "tsv": LoaderRow("loaders.csv:TsvLoader", "TSV", (".tsv", ".tab"), ("text/tab-separated-values",)),
        "json": LoaderRow("loaders.json:JsonLoader", "JSON", (".json",), ("application/json", "text/json")),
        "jsonl": LoaderRow(
            "loaders.json:JsonLinesLoader",
            "JSON Lines",
            (".jsonl", ".ndjson"),
            ("application/jsonl", "application/x-ndjson", "application/x-jsonlines"),
        ),
    }
)

DETECT = "detect"
"""Stands for no loader of its own: the file's content decides."""

FLOWISE_LOADERS: Mapping[str, str] = MappingProxyType(
    {
        "plainText": "text",
        "textFile": "text",
        "pdfFile": "pdf",
        "docxFile": "docx",
        "microsoftWord": "docx",
        "csvFile": "csv",
        "jsonFile": "json",
        "jsonlinesFile": "jsonl",
        "fileLoader": DETECT,
        "unstructuredFileLoader": DETECT,
        "folderFiles": DETECT,
    }
)
"""Flowise's component names; those that take any kind of file map to `DETECT`."""


def canonical(name: str | None) -> str:
    """The row of `LOADERS` (or `DETECT`) for one of our names, a Flowise name or none at all.

    Raises `LoaderError(BAD_OPTION)` that lists the known names for any other.
    """
    if not name or name == DETECT:
        return DETECT
    found = FLOWISE_LOADERS.get(name, name)
    if found != DETECT and found not in LOADERS:
        known = ", ".join(sorted({*LOADERS, *FLOWISE_LOADERS}))
        raise LoaderError(Failure.BAD_OPTION, f"There is no loader named {name!r}. Known are: {known}.")
    return found


def loader(name: str) -> Loader:
    """The loader of the row `name` of `LOADERS`, imported on use."""
    made = resolve_name(LOADERS[name].target)()
    if not isinstance(made, Loader):
        raise TypeError(f"{LOADERS[name].target} is not a Loader")
    return made


def readable() -> str:
    """The formats that can be read, as words for messages."""
    return ", ".join(row.label for row in LOADERS.values())
